// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { parseOptions, USAGE, type Scale } from './options.js';
import { sectionText, targetText, type Section } from './report.js';
import { announcements } from './announcements.js';
import { bulk } from './bulk.js';
import { closeOnSignals } from './cleanup.js';
import { control } from './control.js';
import { crowd } from './crowd.js';
import { events } from './events.js';
import { forwarding } from './forwarding.js';
import { memory } from './memory.js';
import { push } from './push.js';
import { sessions } from './sessions.js';
import { starts } from './starts.js';
import { testRun } from './testRun.js';

/** In the order in which they run. */
const SECTIONS: Readonly<Record<string, (scale: Scale) => Promise<Section>>> = {
  testrun: testRun,
  control,
  forwarding,
  announcements,
  starts,
  sessions,
  crowd,
  bulk,
  push,
  memory,
  events,
};

const IDLE_LOAD = 0.5;

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(`${USAGE}\nsections: ${Object.keys(SECTIONS).join(', ')}\n`);
    return 0;
  }
  const unknown = options.only.find((name) => !(name in SECTIONS));
  if (unknown !== undefined)
    throw new Error(`there is no section ${unknown}; there are ${Object.keys(SECTIONS).join(', ')}`);
  if (process.getuid?.() !== 0) throw new Error('the benchmarks make network namespaces: run them as root');
  const begin = performance.now();
  const machine = { kernel: release(), cpu: cpus()[0]?.model ?? 'unknown', cpus: cpus().length, node: process.version };
  process.stdout.write(
    `# relatd beside netfilter\n\nLinux ${machine.kernel}, ${String(machine.cpus)} x ${machine.cpu}, Node ${machine.node}; scale: ${options.scale.name}\n\n`,
  );
  const [load = 0] = loadavg();
  if (load > IDLE_LOAD)
    process.stdout.write(
      `The load of this machine is ${load.toFixed(1)}: what else runs is in the figures, above all in those of sessions and CPU.\n\n`,
    );
  const sections: Section[] = [];
  for (const [name, run] of Object.entries(SECTIONS)) {
    if (options.only.length > 0 && !options.only.includes(name)) continue;
    const section = await run(options.scale);
    sections.push(section);
    process.stdout.write(`${sectionText(section)}\n`);
  }
  const behind = sections.flatMap((section) => section.behind);
  process.stdout.write(`${behind.map((line) => `behind netfilter: ${line}\n`).join('')}\n`);
  const targets = sections.flatMap((section) => section.targets);
  process.stdout.write(`## Targets\n\n${targetText(targets)}\n\n`);
  const seconds = (performance.now() - begin) / 1000;
  process.stdout.write(`done in ${seconds.toFixed(0)} s\n`);
  if (options.json !== null)
    writeFileSync(
      options.json,
      `${JSON.stringify({ version: 2, pid: process.pid, scale: options.scale.name, machine, load, seconds, sections, behind, targets }, null, 2)}\n`,
    );
  return 0;
}

closeOnSignals();
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  if (process.env['DEBUG'] !== undefined && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  process.exitCode = 1;
}
