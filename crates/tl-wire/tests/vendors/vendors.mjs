// Signed messages made by the vendors' own libraries, and our signed messages shown to their verifiers.
//
//   node vendors.mjs make OUT.json COUNT SEED NOW    writes COUNT messages of each vendor
//   node vendors.mjs verify IN.json                  every message of IN.json must be accepted by its vendor
//
// Where a library can only verify, the message is signed with node:crypto and written only if the library accepts it.
import crypto from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import "@shopify/shopify-api/adapters/node";
import { Signature as HubSpot } from "@hubspot/api-client";
import * as github from "@octokit/webhooks-methods";
import sendgrid from "@sendgrid/eventwebhook";
import { LogSeverity, shopifyApi } from "@shopify/shopify-api";
import { Webhook as Standard } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as Svix } from "svix";
import twilio from "twilio";

const require = createRequire(import.meta.url);
const slack = require(`${pathOf("@slack/bolt")}/dist/receivers/verify-request.js`);

function pathOf(name) {
  return new URL(`./node_modules/${name}`, import.meta.url).pathname;
}
const by = (name) => `${name} ${JSON.parse(fs.readFileSync(`${pathOf(name)}/package.json`)).version} (npm)`;

// A generator with a seed, so that a failing message can be made again.
let state = 0n;
function draw(end) {
  state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn;
  return Number((state >> 33n) % BigInt(end));
}
const LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const word = (length) => Array.from({ length }, () => LETTERS[draw(LETTERS.length)]).join("");
const TEXTS = ["Hello", "Grüße, Zoë", "価格?", "a & b = c", "100% {sure}", "line\nbreak", "🙂 + \\", ""];
const text = () => TEXTS[draw(TEXTS.length)];
const bytes = (length) => Buffer.from(Array.from({ length }, () => draw(256)));

const stripe = new Stripe("sk_test_none");
const expect = (fine, what) => {
  if (!fine) throw new Error(`${what} does not accept the message`);
};
const hmac = (kind, key, data, form) => crypto.createHmac(kind, key).update(data).digest(form);

async function shopifyAccepts(m) {
  const api = shopifyApi({
    apiKey: "key",
    apiSecretKey: m.secret,
    scopes: [],
    hostName: "app.example.com",
    apiVersion: "2025-01",
    isEmbeddedApp: true,
    logger: { level: LogSeverity.Error },
  });
  const rawRequest = { method: "POST", url: "/", headers: Object.fromEntries(m.headers) };
  const result = await api.webhooks.validate({ rawBody: m.body, rawRequest, rawResponse: {} });
  return result.valid === true;
}

function sendgridAccepts(m) {
  const hook = new sendgrid.EventWebhook();
  const header = Object.fromEntries(m.headers);
  return hook.verifySignature(
    hook.convertPublicKeyToECDSA(m.secret),
    m.body,
    header["x-twilio-email-event-webhook-signature"],
    header["x-twilio-email-event-webhook-timestamp"],
  );
}

function slackAccepts(m) {
  const header = Object.fromEntries(m.headers);
  slack.verifySlackRequest({
    signingSecret: m.secret,
    body: m.body,
    headers: {
      "x-slack-signature": header["x-slack-signature"],
      "x-slack-request-timestamp": Number(header["x-slack-request-timestamp"]),
    },
    nowMilliseconds: m.now_s * 1000,
  });
  return true;
}

// What each vendor's verifier says of a message.
const ACCEPTS = {
  github: (m, h) => github.verify(m.secret, m.body, h["x-hub-signature-256"]),
  hubspot: (m, h) =>
    HubSpot.isValid({
      signatureVersion: "v3",
      signature: h["x-hubspot-signature-v3"],
      clientSecret: m.secret,
      requestBody: m.body,
      url: m.url,
      method: m.method,
      timestamp: Number(h["x-hubspot-request-timestamp"]),
    }),
  hubspot_v1: (m, h) =>
    HubSpot.isValid({ signatureVersion: "v1", signature: h["x-hubspot-signature"], clientSecret: m.secret, requestBody: m.body }),
  hubspot_v2: (m, h) =>
    HubSpot.isValid({
      signatureVersion: "v2",
      signature: h["x-hubspot-signature"],
      clientSecret: m.secret,
      requestBody: m.body,
      url: m.url,
      method: m.method,
    }),
  sendgrid: sendgridAccepts,
  shopify: shopifyAccepts,
  slack: slackAccepts,
  standard_webhooks: (m, h) => new Standard(m.secret).verify(m.body, h) !== undefined,
  stripe: (m, h) => stripe.webhooks.constructEvent(m.body, h["stripe-signature"], m.secret) !== undefined,
  svix: (m, h) => new Svix(m.secret).verify(m.body, h) !== undefined,
  twilio: (m, h) =>
    m.url.includes("bodySHA256=")
      ? twilio.validateRequestWithBody(m.secret, h["x-twilio-signature"], m.url, m.body)
      : twilio.validateRequest(m.secret, h["x-twilio-signature"], m.url, Object.fromEntries(new URLSearchParams(m.body))),
};

const LIBRARY = {
  github: "@octokit/webhooks-methods",
  hubspot: "@hubspot/api-client",
  hubspot_v1: "@hubspot/api-client",
  hubspot_v2: "@hubspot/api-client",
  sendgrid: "@sendgrid/eventwebhook",
  shopify: "@shopify/shopify-api",
  slack: "@slack/bolt",
  standard_webhooks: "standardwebhooks",
  stripe: "stripe",
  svix: "svix",
  twilio: "twilio",
};

function hubspot(version, now) {
  const secret = word(36);
  const url = `https://hooks.example.com/hooks/default/hubspot${draw(2) ? `?source=${word(4)}` : ""}`;
  const body = JSON.stringify([
    { eventId: draw(1e9), subscriptionId: draw(1e6), occurredAt: now * 1000, objectId: draw(1e9), attemptNumber: 0, propertyValue: text() },
  ]);
  const timestamp = now * 1000 + draw(1000);
  const signature = HubSpot.getSignature("POST", version, { clientSecret: secret, requestBody: body, url, timestamp });
  const headers =
    version === "v3"
      ? [["x-hubspot-signature-v3", signature], ["x-hubspot-request-timestamp", String(timestamp)]]
      : [["x-hubspot-signature", signature], ["x-hubspot-signature-version", version]];
  return { secret, url, body, headers };
}

function threeHeaders(Library, prefix, now) {
  const secret = `whsec_${bytes(24 + draw(41)).toString("base64")}`;
  const id = `msg_${word(27)}`;
  const body = JSON.stringify({ type: "lead.created", data: { message: text() } });
  const signature = new Library(secret).sign(id, new Date(now * 1000), body);
  const headers = [[`${prefix}-id`, id], [`${prefix}-timestamp`, String(now)], [`${prefix}-signature`, signature]];
  return { secret, body, headers };
}

function twilioForm() {
  const secret = word(32);
  const params = {
    MessageSid: `SM${bytes(16).toString("hex")}`,
    AccountSid: `AC${bytes(16).toString("hex")}`,
    From: `+4420${1000000 + draw(8999999)}`,
    To: "+442079460991",
    Body: text(),
    NumMedia: "0",
    SmsStatus: "received",
  };
  const url = `https://hooks.example.com/forms/default/sms${draw(2) ? `?tag=${word(3)}` : ""}`;
  const signature = twilio.getExpectedTwilioSignature(secret, url, params);
  const body = new URLSearchParams(params).toString();
  const headers = [["content-type", "application/x-www-form-urlencoded"], ["x-twilio-signature", signature]];
  return { secret, url, body, headers };
}

function twilioJson() {
  const secret = word(32);
  const body = JSON.stringify({ specversion: "1.0", data: { text: text() } });
  const url = `https://hooks.example.com/hooks/default/events?bodySHA256=${twilio.getExpectedBodyHash(body)}`;
  const signature = twilio.getExpectedTwilioSignature(secret, url, {});
  return { secret, url, body, headers: [["content-type", "application/json"], ["x-twilio-signature", signature]] };
}

// One message of each vendor, with the preset's name.
const MAKES = [
  ["github", async () => {
    const [secret, body] = [word(40), JSON.stringify({ action: "opened", issue: { title: text() } })];
    const headers = [["x-github-delivery", crypto.createHash("md5").update(body + secret).digest("hex")], ["x-github-event", "issues"]];
    return { secret, body, headers: [...headers, ["x-hub-signature-256", await github.sign(secret, body)]] };
  }],
  ["hubspot", (now) => hubspot("v3", now)],
  ["hubspot_v1", (now) => hubspot("v1", now)],
  ["hubspot_v2", (now) => hubspot("v2", now)],
  ["sendgrid", (now) => {
    const { publicKey, privateKey } = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
    const body = JSON.stringify([{ sg_event_id: word(30), email: "ada@example.com", event: "processed", category: text() }]);
    const headers = [
      ["x-twilio-email-event-webhook-timestamp", String(now)],
      ["x-twilio-email-event-webhook-signature", crypto.sign("sha256", Buffer.from(now + body), privateKey).toString("base64")],
    ];
    return { secret: publicKey.export({ type: "spki", format: "der" }).toString("base64"), body, headers };
  }],
  ["shopify", () => {
    const [secret, body] = [word(32), JSON.stringify({ id: draw(1e9), note: text() })];
    const headers = [
      ["x-shopify-topic", "orders/create"],
      ["x-shopify-shop-domain", "shop.myshopify.com"],
      ["x-shopify-api-version", "2025-01"],
      ["x-shopify-webhook-id", `b54557e4-${word(12)}`],
      ["x-shopify-hmac-sha256", hmac("sha256", secret, body, "base64")],
    ];
    return { secret, body, headers };
  }],
  ["slack", (now) => {
    const [secret, body] = [word(32), JSON.stringify({ type: "event_callback", event_id: `Ev${word(9)}`, event: { text: text() } })];
    const signature = `v0=${hmac("sha256", secret, `v0:${now}:${body}`, "hex")}`;
    return { secret, body, headers: [["x-slack-request-timestamp", String(now)], ["x-slack-signature", signature]] };
  }],
  ["standard_webhooks", (now) => threeHeaders(Standard, "webhook", now)],
  ["stripe", (now) => {
    const secret = `whsec_${word(32)}`;
    const body = JSON.stringify({ id: `evt_${word(24)}`, object: "event", data: { object: { description: text() } } });
    const header = stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp: now });
    return { secret, body, headers: [["stripe-signature", header]] };
  }],
  ["svix", (now) => threeHeaders(Svix, "svix", now)],
  ["twilio", twilioForm],
  ["twilio", twilioJson],
];

async function make(out, count, seed, now) {
  state = BigInt(seed);
  const made = [];
  for (const [preset, one] of MAKES) {
    for (let i = 0; i < count; i++) {
      const given = await one(now);
      const m = { preset, by: by(LIBRARY[preset]), method: "POST", url: "", now_s: now, ...given };
      if (["sendgrid", "shopify", "slack"].includes(preset)) {
        expect(await ACCEPTS[preset](m, Object.fromEntries(m.headers)), m.by);
      }
      made.push(m);
    }
  }
  fs.writeFileSync(out, `[\n${made.map((m) => JSON.stringify(m)).join(",\n")}\n]\n`);
  console.log(`${made.length} messages by the vendors' libraries`);
}

async function verify(file) {
  let seen = 0;
  for (const m of JSON.parse(fs.readFileSync(file, "utf8"))) {
    const accepts = ACCEPTS[m.preset];
    if (!accepts) continue;
    const fine = await accepts(m, Object.fromEntries(m.headers));
    expect(fine, `${by(LIBRARY[m.preset])} (${m.preset}, ${m.body})`);
    seen++;
  }
  if (seen === 0) throw new Error("no message to verify");
  console.log(`${seen} messages of ours are accepted by the vendors' libraries`);
}

const [what, file, count, seed, now] = process.argv.slice(2);
if (what === "make") await make(file, Number(count), seed, Number(now));
else if (what === "verify") await verify(file);
else throw new Error("make OUT COUNT SEED NOW, or verify IN");
