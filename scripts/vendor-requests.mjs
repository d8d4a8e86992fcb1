#!/usr/bin/env node
// Records what the vendors' own libraries send, as the oracle of our connector files.
//
//   node scripts/vendor-requests.mjs FOLDER            prints the recordings
//   node scripts/vendor-requests.mjs FOLDER --check    compares them with the committed ones
//
// FOLDER holds node_modules with the libraries of PACKAGES (`npm install` of the printed line). Each library is
// pointed at a recorder on loopback; nothing leaves the machine. A recording has no personal data and no credential
// but made-up ones.

import http from 'node:http';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import path from 'node:path';

const PACKAGES = ['@hubspot/api-client', 'stripe', 'twilio', '@sendgrid/mail', 'resend', 'postmark', 'mailgun.js',
  'form-data', '@slack/web-api', '@octokit/rest', 'pipedrive', '@microsoft/microsoft-graph-client'];
const COMMITTED = fileURLToPath(new URL('../crates/tl-connect/tests/connectors/recorded.json', import.meta.url));

const folder = process.argv[2];
if (!folder) {
  console.error(`npm install ${PACKAGES.join(' ')}\nthen: node scripts/vendor-requests.mjs FOLDER [--check]`);
  process.exit(2);
}
const require = createRequire(path.join(path.resolve(folder), 'package.json'));
const version = (name) => JSON.parse(
  readFileSync(path.join(path.resolve(folder), 'node_modules', name, 'package.json'), 'utf8')).version;

// What the recorder answers, by the start of the path; libraries insist on some shape.
const ANSWERS = [
  ['/api/', { ok: true, ts: '1.2', channel: 'C1', message: {} }],
  ['/email', { MessageID: 'm1', ErrorCode: 0, Message: 'OK', To: 'a@example.com', SubmittedAt: '2026-01-01T00:00:00Z' }],
  ['/', { id: '1', sid: 'SM1', success: true, data: {}, message: 'ok', object: 'customer', properties: {} }],
];
let last = null;
const server = http.createServer((request, response) => {
  const parts = [];
  request.on('data', (d) => parts.push(d));
  request.on('end', () => {
    last = { method: request.method, target: request.url, headers: request.headers, body: Buffer.concat(parts).toString('utf8') };
    const [, body] = ANSWERS.find(([start]) => request.url.startsWith(start));
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  });
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const port = server.address().port;
const base = `http://127.0.0.1:${port}`;

// By what a mail of ours is known when it comes back.
const MARK = { 'X-Throughline-Effect': 'eff_1', 'Auto-Submitted': 'auto-generated' };

// Headers that carry meaning; the rest names the library or its transport.
const KEPT = /^(authorization|content-type|x-api-token|x-postmark-server-token|stripe-version|idempotency-key|x-github-api-version|accept)$/;
const out = [];
async function record(connector, library, operation, given, send) {
  last = null;
  try {
    await send();
  } catch (e) {
    if (!last) throw e;
  }
  const headers = Object.fromEntries(Object.entries(last.headers).filter(([n]) => KEPT.test(n)));
  if (/^multipart\/form-data/.test(headers['content-type'] ?? '')) {
    // The boundary is drawn anew each time: the parts are kept as pairs.
    const boundary = headers['content-type'].split('boundary=')[1];
    const pairs = last.body.split(`--${boundary}`).slice(1, -1).map((part) => {
      const [head, ...rest] = part.split('\r\n\r\n');
      return [/name="([^"]+)"/.exec(head)[1], rest.join('\r\n\r\n').replace(/\r\n$/, '')];
    });
    headers['content-type'] = 'multipart/form-data';
    last.body = JSON.stringify(pairs);
  }
  out.push({
    connector, operation, library: `${library} ${version(library)}`, ...given,
    request: { method: last.method, target: last.target, headers, body: last.body },
  });
}

{ // HubSpot
  const library = '@hubspot/api-client';
  const { Client } = require(library);
  const crm = new Client({ accessToken: 's3cret', basePath: base }).crm;
  const fields = { email: 'ada@example.com', firstname: 'Ada' };
  await record('hubspot', library, 'contact.create', { args: {}, fields },
    () => crm.contacts.basicApi.create({ properties: fields, associations: [] }));
  await record('hubspot', library, 'contact.update', { args: { id: '17' }, fields },
    () => crm.contacts.basicApi.update('17', { properties: fields }));
  await record('hubspot', library, 'contact.upsert', { args: { email: 'ada@example.com' }, fields },
    () => crm.contacts.batchApi.upsert({ inputs: [{ idProperty: 'email', id: 'ada@example.com', properties: fields }] }));
  await record('hubspot', library, 'company.create', { args: {}, fields: { name: 'Acme' } },
    () => crm.companies.basicApi.create({ properties: { name: 'Acme' }, associations: [] }));
  await record('hubspot', library, 'company.update', { args: { id: '5' }, fields: { name: 'Acme' } },
    () => crm.companies.basicApi.update('5', { properties: { name: 'Acme' } }));
  await record('hubspot', library, 'ticket.create', { args: {}, fields: { subject: 'Help' } },
    () => crm.tickets.basicApi.create({ properties: { subject: 'Help' }, associations: [] }));
  const task = { hs_task_subject: 'Call', hs_timestamp: '2026-01-02T00:00:00Z' };
  await record('hubspot', library, 'task.create', { args: {}, fields: task },
    () => crm.objects.tasks.basicApi.create({ properties: task, associations: [] }));
  const note = { hs_note_body: 'Hello', hs_timestamp: '2026-01-02T00:00:00Z' };
  await record('hubspot', library, 'note.create', { args: { contact: '17' }, fields: note },
    () => crm.objects.notes.basicApi.create({
      properties: note,
      associations: [{ to: { id: '17' }, types: [{ associationCategory: 'HUBSPOT_DEFINED', associationTypeId: 202 }] }],
    }));
}
{ // Stripe
  const Stripe = require('stripe');
  const stripe = new (Stripe.default ?? Stripe)('s3cret', { host: '127.0.0.1', port, protocol: 'http', maxNetworkRetries: 0, telemetry: false });
  const key = { idempotencyKey: 'k-1' };
  await record('stripe', 'stripe', 'customer.create', { args: { email: 'ada@example.com', name: 'Ada L' }, fields: { plan: 'gold' } },
    () => stripe.customers.create({ email: 'ada@example.com', name: 'Ada L', metadata: { plan: 'gold' } }, key));
  await record('stripe', 'stripe', 'invoice.create', { args: { customer: 'cus_1', days_until_due: 14 }, fields: { case: 'c1' } },
    () => stripe.invoices.create({ customer: 'cus_1', collection_method: 'send_invoice', days_until_due: 14, metadata: { case: 'c1' } }, key));
  await record('stripe', 'stripe', 'refund.create', { args: { payment_intent: 'pi_1', amount: 500 }, fields: {} },
    () => stripe.refunds.create({ payment_intent: 'pi_1', amount: 500 }, key));
}
{ // Twilio
  const twilio = require('twilio');
  const inner = new twilio.RequestClient();
  const httpClient = { request: (o) => inner.request({ ...o, uri: o.uri.replace('https://api.twilio.com', base) }) };
  const sid = `AC${'0'.repeat(32)}`;
  const client = twilio(sid, 's3cret', { httpClient });
  await record('twilio', 'twilio', 'sms.send', { args: { to: '+4930123456', from: '+15005550006', text: 'Hello & welcome' }, settings: { account: sid } },
    () => client.messages.create({ to: '+4930123456', from: '+15005550006', body: 'Hello & welcome' }));
}
{ // SendGrid
  const mail = require('@sendgrid/mail');
  mail.setApiKey('SG.s3cret');
  mail.client.setDefaultRequest('baseUrl', base);
  await record('sendgrid', '@sendgrid/mail', 'mail.send',
    { secret: 'SG.s3cret', args: { to: 'ada@example.com', from: 'us@example.com', subject: 'Hi', text: 'Hello' } },
    () => mail.send({ to: 'ada@example.com', from: 'us@example.com', subject: 'Hi', text: 'Hello', headers: MARK, customArgs: { throughline_effect: 'eff_1' } }));
}
{ // Resend
  process.env.RESEND_BASE_URL = base;
  const { Resend } = require('resend');
  await record('resend', 'resend', 'mail.send', { args: { to: 'ada@example.com', from: 'us@example.com', subject: 'Hi', text: 'Hello' } },
    () => new Resend('s3cret').emails.send({ to: 'ada@example.com', from: 'us@example.com', subject: 'Hi', text: 'Hello', headers: MARK }, { idempotencyKey: 'k-1' }));
}
{ // Postmark
  const { ServerClient } = require('postmark');
  const client = new ServerClient('s3cret', { requestHost: `127.0.0.1:${port}`, useHttps: false });
  await record('postmark', 'postmark', 'mail.send', { args: { to: 'ada@example.com', from: 'us@example.com', subject: 'Hi', text: 'Hello' } },
    () => client.sendEmail({ To: 'ada@example.com', From: 'us@example.com', Subject: 'Hi', TextBody: 'Hello',
      Headers: Object.entries(MARK).map(([Name, Value]) => ({ Name, Value })), Metadata: { throughline_effect: 'eff_1' } }));
}
{ // Mailgun
  const Mailgun = require('mailgun.js');
  const FormData = require('form-data');
  const client = new (Mailgun.default ?? Mailgun)(FormData).client({ username: 'api', key: 's3cret', url: base });
  await record('mailgun', 'mailgun.js', 'mail.send', { args: { to: 'ada@example.com', from: 'us@example.com', subject: 'Hi', text: 'Hello' }, settings: { domain: 'mg.example.com' } },
    () => client.messages.create('mg.example.com', { to: 'ada@example.com', from: 'us@example.com', subject: 'Hi', text: 'Hello',
      'h:X-Throughline-Effect': 'eff_1', 'h:Auto-Submitted': 'auto-generated', 'v:throughline_effect': 'eff_1' }));
}
{ // Slack
  const { WebClient } = require('@slack/web-api');
  const client = new WebClient('s3cret', { slackApiUrl: `${base}/api/`, retryConfig: { retries: 0 } });
  await record('slack', '@slack/web-api', 'message.post', { args: { channel: 'C1', text: 'Hello & <you>' } },
    () => client.chat.postMessage({ channel: 'C1', text: 'Hello & <you>' }));
}
{ // GitHub
  const { Octokit } = await import(path.join(path.resolve(folder), 'node_modules/@octokit/rest/dist-src/index.js'));
  const client = new Octokit({ auth: 's3cret', baseUrl: base });
  await record('github', '@octokit/rest', 'issue.create', { args: { owner: 'acme', repo: 'app', title: 'Bug', body: 'It fails', labels: ['bug'] } },
    () => client.rest.issues.create({ owner: 'acme', repo: 'app', title: 'Bug', body: 'It fails', labels: ['bug'] }));
  await record('github', '@octokit/rest', 'issue.comment', { args: { owner: 'acme', repo: 'app', number: 7, body: 'Hello' } },
    () => client.rest.issues.createComment({ owner: 'acme', repo: 'app', issue_number: 7, body: 'Hello' }));
}
{ // Pipedrive
  const v1 = require('pipedrive/v1');
  const v2 = require('pipedrive/v2');
  const on = (m, version) => new m.Configuration({ apiKey: 's3cret', basePath: `${base}${version}` });
  await record('pipedrive', 'pipedrive', 'person.create', { args: {}, fields: { name: 'Ada' } },
    () => new v2.PersonsApi(on(v2, '/api/v2')).addPerson({ AddPersonRequest: { name: 'Ada' } }));
  await record('pipedrive', 'pipedrive', 'deal.create', { args: {}, fields: { title: 'Deal' } },
    () => new v2.DealsApi(on(v2, '/api/v2')).addDeal({ AddDealRequest: { title: 'Deal' } }));
  await record('pipedrive', 'pipedrive', 'person.update', { args: { id: 7 }, fields: { name: 'Ada' } },
    () => new v2.PersonsApi(on(v2, '/api/v2')).updatePerson({ id: 7, UpdatePersonRequest: { name: 'Ada' } }));
  await record('pipedrive', 'pipedrive', 'note.create', { args: { content: 'Hello', person: 7 } },
    () => new v1.NotesApi(on(v1, '/v1')).addNote({ AddNoteRequest: { content: 'Hello', person_id: 7 } }));
}
{ // Teams by Microsoft Graph
  const { Client } = require('@microsoft/microsoft-graph-client');
  const client = Client.initWithMiddleware({
    baseUrl: base, defaultVersion: 'v1.0', customHosts: new Set(['127.0.0.1']),
    authProvider: { getAccessToken: async () => 's3cret' },
  });
  await record('teams', '@microsoft/microsoft-graph-client', 'message.post', { args: { team: 'T1', channel: '19:x@thread.tacv2', text: 'Hello' }, settings: { tenant: 'acme.com' } },
    () => client.api('/teams/T1/channels/19:x@thread.tacv2/messages').post({ body: { contentType: 'text', content: 'Hello' } }));
}
server.close();

const text = `${JSON.stringify(out, null, 1)}\n`.replaceAll(base, 'http://recorder').replaceAll(`127.0.0.1:${port}`, 'recorder');
if (process.argv.includes('--check')) {
  const same = readFileSync(COMMITTED, 'utf8') === text;
  console.log(same ? `${out.length} recordings as committed` : 'the libraries send something else than what is committed');
  process.exit(same ? 0 : 1);
}
process.stdout.write(text);
process.exit(0);
