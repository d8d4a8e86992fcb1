// Restate: a workflow for each lead, whose id is its key, so that the server itself refuses a second one.
//
// What was chosen for it:
// - One journal entry: the write. Mapping and rules are pure and run inside the handler, not as steps.
// - A door in front: the server's ingress checks no signatures, and a handler that checked them would run after the
//   message was acknowledged, or cost a second invocation.
// - The door shares the process of the handler; scripts/peers gives the server's own settings.
import http from 'node:http';
import http2 from 'node:http2';
import * as restate from '@restatedev/restate-sdk';
import { ask, classify, door, put } from '../lead.mjs';

const port = (name) => Number(process.env[name]);
const [handlers, ingress, admin] = ['HANDLER_PORT', 'INGRESS_PORT', 'ADMIN_PORT'].map(port);

const lead = restate.workflow({
  name: 'lead',
  handlers: {
    run: async (context, message) => {
      const record = classify(message);
      const etag = await context.run('crm', () => put(record));
      return { state: 'closed', etag, record };
    },
  },
});
http2.createServer(restate.createEndpointHandler({ services: [lead] })).listen(handlers, '127.0.0.1');

const agent = new http.Agent({ keepAlive: true });
const server = { host: '127.0.0.1', port: ingress, agent };
let registered = false;

// The server knows where the handlers are before anything is taken; it remembers that, so saying it again changes
// nothing.
async function ready() {
  if (!registered) {
    const where = JSON.stringify({ uri: `http://127.0.0.1:${handlers}`, force: true });
    const { status } = await ask({ host: '127.0.0.1', port: admin, method: 'POST', path: '/deployments' }, where);
    registered = status < 300;
  }
  const { status } = await ask({ ...server, method: 'GET', path: '/restate/health' });
  return registered && status === 200;
}

async function accept(message) {
  const path = `/lead/${encodeURIComponent(message.external_id)}/run/send`;
  const { status, text } = await ask({ ...server, method: 'POST', path }, JSON.stringify(message));
  // 202 where the workflow is new, 200 where the server has it already: both are durable.
  if (status !== 202 && status !== 200) throw new Error(`Restate answers ${status}: ${text}`);
}

door(port('PORT'), accept, ready);
