// Prints how many cases of a subject have not come to their end: node open.mjs sqlite FILE QUERY | restate ADDRESS.
import { DatabaseSync } from 'node:sqlite';

const [kind, place, query] = process.argv.slice(2);

async function ofRestate() {
  const answer = await fetch(`http://${place}/query`, {
    method: 'POST', headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: `select count(*) as n from sys_invocation where status <> 'completed'` }),
  });
  return (await answer.json()).rows[0].n;
}

const ofSqlite = () => new DatabaseSync(place, { readOnly: true }).prepare(query).get().n;

console.log(kind === 'restate' ? await ofRestate() : ofSqlite());
