// n8n: prints the workflow of the golden path. A case is an execution; the CRM's address and the secret come from the
// environment.
//
// What was chosen for it:
// - The webhook answers from a node behind the check of the signature. n8n has written the execution with the message
//   before its first node runs, so the message is on the disk before the 202.
// - As few nodes as do the work, because each costs: mapping and rules are one node, and the answer is one node whose
//   status is an expression.
// - A webhook knows no duplicates. The node that n8n has for this is left out: it keeps all ids in one row that every
//   execution reads and writes again, so it costs more with each lead, and copies that come together pass it. A lead
//   that is sent twice is two executions, and the CRM tells them by the key.
const { SECRET, CRM } = process.env;

let count = 0;
function node(name, type, typeVersion, parameters, more = {}) {
  count += 1;
  const place = { id: String(count), position: [200 * count, 0] };
  return { ...place, name, type: `n8n-nodes-base.${type}`, typeVersion, parameters, ...more };
}
const signed = `$json.headers['x-signature'] === 'sha256=' + $json.mac`;
const hot = 'b.lead.budget >= 20000 && b.lead.employees >= 100';
const fields = Object.entries({
  external_id: 'b.external_id', source: 'b.source', name: 'b.contact.name.trim()', company: 'b.contact.company.trim()',
  email: 'b.contact.email.trim().toLowerCase()', phone: `'+' + b.contact.phone.replace(/\\D/g, '')`,
  intent: 'b.lead.intent', territory: 'b.lead.territory', employees: 'b.lead.employees', budget: 'b.lead.budget',
  tier: `${hot} ? 'hot' : b.lead.budget >= 5000 ? 'warm' : 'cold'`,
  next_step: `${hot} && ['demo', 'pricing'].includes(b.lead.intent) ? 'call_back' : ''`,
}).map(([name, value]) => ({
  id: name, name, type: ['employees', 'budget'].includes(name) ? 'number' : 'string',
  value: `={{ ${value.replaceAll('b.', '$json.body.')} }}`,
}));

const nodes = [
  node('Lead', 'webhook', 2, {
    httpMethod: 'POST', path: 'leads', responseMode: 'responseNode', options: { rawBody: true },
  }, { webhookId: 'leads' }),
  node('Sign', 'crypto', 1, {
    action: 'hmac', type: 'SHA256', secret: SECRET, binaryData: true, binaryPropertyName: 'data', encoding: 'hex',
    dataPropertyName: 'mac',
  }),
  node('Answer', 'respondToWebhook', 1.1, {
    // Without a text the answer comes in chunks of no declared length, which the load generator does not read.
    respondWith: 'text', responseBody: 'taken', options: { responseCode: `={{ ${signed} ? 202 : 401 }}` },
  }),
  node('Signed', 'filter', 2.2, {
    conditions: {
      options: { caseSensitive: true, leftValue: '', typeValidation: 'strict', version: 2 }, combinator: 'and',
      conditions: [{
        id: 'signed', leftValue: `={{ ${signed} }}`, rightValue: '',
        operator: { type: 'boolean', operation: 'true', singleValue: true },
      }],
    },
    options: {},
  }),
  node('Classify', 'set', 3.4, { assignments: { assignments: fields }, options: {} }),
  node('CRM', 'httpRequest', 4.2, {
    method: 'PUT', url: `=http://${CRM}/leads/{{ $json.external_id }}`, sendHeaders: true,
    headerParameters: { parameters: [
      { name: 'if-match', value: '"v0"' }, { name: 'idempotency-key', value: '={{ $json.external_id }}' },
    ] },
    sendBody: true, specifyBody: 'json', jsonBody: '={{ JSON.stringify($json) }}', options: {},
  }, { retryOnFail: true, maxTries: 5, waitBetweenTries: 1000 }),
];
const connections = Object.fromEntries(nodes.slice(1).map((to, at) =>
  [nodes[at].name, { main: [[{ node: to.name, type: 'main', index: 0 }]] }]));

console.log(JSON.stringify([{
  id: 'goldenpath000001', name: 'Golden path', nodes, connections, active: false, settings: { executionOrder: 'v1' },
  versionId: '6f1f0a52-0c55-4d0e-9a0f-3f2b1c7d8e90',
}], null, 1));
