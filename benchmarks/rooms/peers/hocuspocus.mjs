// Hocuspocus as its documentation starts it: no hooks, nothing kept.
import { Server } from '@hocuspocus/server';

const server = new Server({
  address: '127.0.0.1',
  port: Number(process.env.PORT),
  quiet: true
});
await server.listen();
