// Prints the lines of a run of scripts/peers as a Markdown table: node table.mjs RESULTS SUBJECT...
import { readFileSync } from 'node:fs';

const [path, ...subjects] = process.argv.slice(2);
const lines = readFileSync(path, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
const of = (subject, phase) => lines.filter((line) => line.subject === subject && line.phase === phase);
const ofAllPhases = (subject) => lines.filter((line) => line.subject === subject && line.phase !== 'kill');
const cases = (subject) => ofAllPhases(subject).reduce((n, line) => n + (line.cases ?? 0), 0);

// A rate that was offered and not taken has no figures worth reading, only the rate that was taken.
const reached = (line, value) => line.accepted_per_s < 0.9 * line.rate ? `cannot: ${line.accepted_per_s}/s` : value;
const perCase = (line, value) => line.cases > 0 ? value / line.cases : undefined;
const taken = ([status]) => status.startsWith('2');
const answered = (line) => Object.values(line.answers).reduce((n, times) => n + times, 0);
const refused = (line) => Object.entries(line.answers).filter((a) => !taken(a)).reduce((n, [, times]) => n + times, 0);

// What was not seen once in n independent tries is rarer than this, with a confidence of 95 %.
const upperBound = (n) => 1 - 0.05 ** (1 / n);
// So many of so many: no count is told without how often it could have been.
const outOf = (count, n) => ({ count, n });

// Leads that were acknowledged in the run with the kill: each of them opened a case.
const takenAtKill = (subject) => of(subject, 'kill').reduce((n, line) => n + line.acknowledged_leads, 0);

// Figures: what it is, the phase, and the value in a line of that phase.
const figures = [
  ['cases/s, 64 connections', 'closed', (l) => l.cases_per_s],
  ['accepted/s, 64 connections', 'closed', (l) => l.accepted_per_s],
  ['reply p50, 64 connections, ms', 'closed', (l) => l.reply_ms.p50],
  ['reply p99, 64 connections, ms', 'closed', (l) => l.reply_ms.p99],
  ['CPU per case, 64 connections, ms', 'closed', (l) => perCase(l, l.used_ms)],
  ['acknowledged and not yet in the CRM when sending ended', 'closed', (l) => outOf(l.backlog, l.acknowledged_leads)],
  ['refused or broken, 64 connections', 'closed', (l) => outOf(refused(l) + l.broken, answered(l) + l.broken)],
  ['reply p99 at 50/s, ms', 'open50', (l) => reached(l, l.reply_ms.p99)],
  ['end to end p50 at 50/s, ms', 'open50', (l) => reached(l, l.e2e_ms.p50)],
  ['end to end p99 at 50/s, ms', 'open50', (l) => reached(l, l.e2e_ms.p99)],
  ['reply p99 at 200/s, ms', 'open200', (l) => reached(l, l.reply_ms.p99)],
  ['end to end p50 at 200/s, ms', 'open200', (l) => reached(l, l.e2e_ms.p50)],
  ['end to end p99 at 200/s, ms', 'open200', (l) => reached(l, l.e2e_ms.p99)],
  ['CPU per case at 200/s, ms', 'open200', (l) => reached(l, perCase(l, l.used_ms))],
  ['messages to the CRM per lead, each lead sent twice', 'twice', (l) => perCase(l, l.cases + l.extra + l.repeats)],
  ['store bytes per closed case', 'size', (l) => (l.after - l.before) / cases(l.subject)],
  ['memory idle, MiB', 'warm', (l) => l.tree_idle_mib],
  ['memory under load, MiB', 'closed', (l) => l.tree_peak_mib],
  ['start to ready, ms', 'start', (l) => l.ready_ms],
  ['kill -9: kill to ready, ms', 'restart', (l) => l.ready_ms],
  ['kill -9: acknowledged', 'kill', (l) => l.acknowledged_leads],
  ['kill -9: acknowledged and not in the CRM within a minute', 'kill', (l) => outOf(l.lost, l.acknowledged_leads)],
  ['kill -9: cases left open, which nothing goes on with', 'left', (l) => outOf(l.open, takenAtKill(l.subject))],
  ['kill -9: written again with another key', 'kill', (l) => outOf(l.extra, l.cases)],
  ['kill -9: sent again with the same key', 'kill', (l) => outOf(l.repeats, l.cases)],
];
// Memory when idle is that after the first start; the second pass starts on what the first has left.
const first = ['warm'];

function number(value) {
  if (Math.abs(value) >= 100) return value.toFixed(0);
  return String(Number(value.toFixed(Math.abs(value) >= 10 ? 1 : 2)));
}

// The sum of the rounds, and where there are none what that says.
function counted(rounds) {
  const sum = (key) => rounds.reduce((total, round) => total + round[key], 0);
  const [count, n] = [sum('count'), sum('n')];
  if (count > 0 || n === 0) return `${count} of ${n}`;
  const percent = Number((100 * upperBound(n)).toPrecision(2));
  return `0 of ${n} (≤ ${percent} % at 95 %)`;
}

// The mean of the rounds, and how far they went apart.
function shown(values) {
  const known = values.filter((value) => value !== undefined);
  if (known.length === 0) return '–';
  if (known[0].n !== undefined) return counted(known);
  const words = known.find((value) => typeof value === 'string');
  if (words) return words;
  const [low, high] = [Math.min(...known), Math.max(...known)].map(number);
  const mean = number(known.reduce((a, b) => a + b, 0) / known.length);
  return low === high ? mean : `${mean} (${low}–${high})`;
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const rate = (subject) => mean(of(subject, 'closed').map((l) => l.cases_per_s));

const rows = figures.map(([name, phase, value]) => [name, ...subjects.map((subject) => {
  const found = of(subject, phase);
  return shown((first.includes(phase) ? found.slice(0, 1) : found).map(value));
})]);
const multiples = subjects.map((subject) => rate('product') / rate(subject));
const quotients = multiples.map((multiple) => Number.isFinite(multiple) ? number(multiple) : '–');
rows.unshift(["the product's cases/s, divided by these", ...quotients]);

const print = (cells) => console.log(`| ${cells.join(' | ')} |`);
print(['Figure', ...subjects]);
print(['---', ...subjects.map(() => '---')]);
rows.forEach(print);

const [machine] = of('machine', 'machine');
console.log(`\n${machine.cores} cores of ${machine.cpu}, kernel ${machine.kernel}, ${machine.filesystem}, ` +
  `our programs built in ${machine.build}, Node ${machine.node}, PostgreSQL ${machine.postgres || 'not installed'}.`);
const steps = {
  prepared: 'installing', first_pass: 'the first pass', second_pass: 'the second pass', kill_pass: 'kill -9',
};
for (const subject of subjects) {
  for (const { at, reason } of of(subject, 'missing')) {
    console.log(`\n**${subject} is left out from ${steps[at]} on**: ${reason}.`);
  }
}
