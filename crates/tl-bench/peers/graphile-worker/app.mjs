// graphile-worker on PostgreSQL: a table of cases with a unique id, and one job for each case.
//
// What was chosen for it:
// - The case and its job are written by one statement, so they are durable together, and a known id adds no job.
// - One job: mapping and rules are pure, so they need no job of their own. The outcome and the end of the job are two
//   transactions, because the library deletes a job with a connection of its own.
// - Its settings for throughput: jobs are fetched in batches and deleted in batches.
// - Jobs of a worker that was killed stay locked for four hours. Here is only one worker, so whatever is locked when it
//   starts belongs to one that is gone, and is unlocked with the call that the library has for it.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import { classify, door, put } from '../lead.mjs';

const slots = 40;
const database = { host: process.env.PG_SOCKETS, user: 'bench', database: 'bench', idleTimeoutMillis: 0 };
const [doorPool, workerPool] = [new pg.Pool({ ...database, max: 10 }), new pg.Pool({ ...database, max: 20 })];
for (const pool of [doorPool, workerPool]) pool.on('error', (error) => console.error(error));

// A line for each job would cost more than the job's transactions.
const logger = new Logger(() => (level, text) => ['error', 'warning'].includes(level) && console.error(text));
const utils = await makeWorkerUtils({ pgPool: workerPool, logger });
await utils.migrate();
await doorPool.query(`create table if not exists lead_case (id text primary key, message jsonb not null,
  state text not null default 'accepted', record jsonb, etag text, at timestamptz not null default now())`);
const locked = 'select distinct locked_by from graphile_worker.jobs where locked_by is not null';
const { rows } = await doorPool.query(locked);
await utils.forceUnlockWorkers(rows.map((row) => row.locked_by));

async function lead(message) {
  const record = classify(message);
  const etag = await put(record);
  await workerPool.query({
    name: 'close', values: [record.external_id, record, etag],
    text: `update lead_case set state = 'closed', record = $2, etag = $3, at = now() where id = $1`,
  });
}

await run({
  pgPool: workerPool, logger, taskList: { lead }, concurrency: slots, noHandleSignals: true, pollInterval: 1000,
  preset: { worker: { localQueue: { size: slots + 1 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
});

const accept = (message) => doorPool.query({
  name: 'accept', values: [message.external_id, message],
  text: `with fresh as (insert into lead_case (id, message) values ($1, $2) on conflict do nothing returning message)
    select graphile_worker.add_job('lead', message::json) from fresh`,
});
door(Number(process.env.PORT), accept);
