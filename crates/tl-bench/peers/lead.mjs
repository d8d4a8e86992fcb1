// What every peer does with a lead: the same checks, mapping, rules and write as the bound and the product.
import http from 'node:http';
import crypto from 'node:crypto';

const secret = process.env.SECRET;
const [crmHost, crmPort] = (process.env.CRM ?? '127.0.0.1:9900').split(':');
// As many writes on their way at once as the bound has slots.
const toCrm = new http.Agent({ keepAlive: true, maxSockets: 64 });

// Whether the signature header fits the raw body.
export function isSigned(raw, header) {
  const want = crypto.createHmac('sha256', secret).update(raw).digest();
  const got = Buffer.from(String(header ?? '').replace(/^sha256=/, ''), 'hex');
  return got.length === want.length && crypto.timingSafeEqual(got, want);
}

// Mapping, normalization and rules. Pure: computed again it gives the same, so that no engine has to record it as a
// step of its own.
export function classify({ external_id, source, contact, lead }) {
  const { budget, employees } = lead;
  const tier = budget >= 20000 && employees >= 100 ? 'hot' : budget >= 5000 ? 'warm' : 'cold';
  const callBack = tier === 'hot' && ['demo', 'pricing'].includes(lead.intent);
  return {
    external_id, source, budget, employees, tier,
    name: contact.name.trim(), company: contact.company.trim(), email: contact.email.trim().toLowerCase(),
    phone: '+' + contact.phone.replace(/\D/g, ''), intent: lead.intent, territory: lead.territory,
    ...(callBack && { next_step: 'call_back' }),
  };
}

// One request over a connection that stays open: status, headers and text of the answer.
export function ask(options, body = '') {
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...options.headers };
  return new Promise((resolve, reject) => {
    const request = http.request({ ...options, headers }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text: parts.join('') }));
      answer.on('error', reject);
    });
    request.on('error', reject);
    request.end(body);
  });
}

// The write to the CRM; fails unless it was taken. The key is the lead's, so a repeated write is known as such.
export async function put(record) {
  const { status, headers } = await ask({
    host: crmHost, port: crmPort, agent: toCrm, method: 'PUT', path: `/leads/${record.external_id}`,
    headers: { 'if-match': '"v0"', 'idempotency-key': record.external_id },
  }, JSON.stringify(record));
  if (status !== 200) throw new Error(`the CRM answers ${status}`);
  return headers.etag;
}

// The endpoint: a message is verified, then `accept` makes it durable, and only then it is acknowledged. Plain
// node:http, which costs less than any framework.
export function door(port, accept, ready = async () => true) {
  const answer = (response, status) => response.writeHead(status, { 'content-length': 0 }).end();
  const take = async (request, raw) => {
    if (!isSigned(raw, request.headers['x-signature'])) return 401;
    let message;
    try {
      message = JSON.parse(raw);
    } catch {
      return 400;
    }
    if (typeof message.external_id !== 'string') return 400;
    await accept(message);
    return 202;
  };
  const server = http.createServer((request, response) => {
    const failed = (error) => { console.error(error); answer(response, 503); };
    if (request.url === '/readyz') {
      ready().then((is) => answer(response, is ? 200 : 503), () => answer(response, 503));
      return;
    }
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => take(request, Buffer.concat(parts)).then((status) => answer(response, status), failed));
  });
  server.keepAliveTimeout = 600_000;
  server.listen(port, '127.0.0.1');
}
