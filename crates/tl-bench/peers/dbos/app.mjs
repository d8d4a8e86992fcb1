// DBOS Transact on PostgreSQL: a workflow for each lead, whose id is the workflow's, so that a second start finds the
// first one.
//
// What was chosen for it:
// - One step: the write. Mapping and rules are pure and run in the workflow itself, not as steps with a row each.
// - The default executor: a workflow is started in the process that has written its row; a queue would cost a second
//   transaction for each case.
// - Ten connections (the library's default) that stay open, over the socket: twenty and forty cost more for each case.
// - What a crash leaves is found by the library when it starts again.
import { DBOS } from '@dbos-inc/dbos-sdk';
import pg from 'pg';
import { classify, door, put } from '../lead.mjs';

const database = { host: process.env.PG_SOCKETS, user: 'bench', database: 'bench' };
const pool = new pg.Pool({ ...database, max: 10, idleTimeoutMillis: 0 });
pool.on('error', (error) => console.error(error));

const lead = DBOS.registerWorkflow(async (message) => {
  const record = classify(message);
  const etag = await DBOS.runStep(() => put(record), { name: 'crm', retriesAllowed: true, maxAttempts: 10 });
  return { state: 'closed', etag, record };
}, { name: 'lead' });

DBOS.setConfig({
  name: 'bench', logLevel: 'error', systemDatabasePool: pool,
  systemDatabaseUrl: `postgresql://bench@localhost/bench?host=${process.env.PG_SOCKETS}`,
});
await DBOS.launch();

// The workflow's row is committed when startWorkflow returns.
const accept = (message) => DBOS.startWorkflow(lead, { workflowID: message.external_id })(message);
door(Number(process.env.PORT), accept);
