// y-websocket's own server, which takes HOST and PORT from the environment; nothing kept.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

// The program is not among what the package exports, only among what it installs.
const manifest = createRequire(import.meta.url).resolve('@y/websocket-server/package.json');
const { bin } = JSON.parse(readFileSync(manifest, 'utf8'));
await import(pathToFileURL(join(dirname(manifest), bin['y-websocket-server'])).href);
