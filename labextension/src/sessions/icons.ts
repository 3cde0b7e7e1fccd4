import { LabIcon } from '@jupyterlab/ui-components';

import sessionsSvg from '../../style/icons/sessions.svg';
import shareSvg from '../../style/icons/share.svg';

export const sessionsIcon = new LabIcon({
  name: 'jupyter-collab-ai:sessions',
  svgstr: sessionsSvg
});

export const shareIcon = new LabIcon({
  name: 'jupyter-collab-ai:share',
  svgstr: shareSvg
});
