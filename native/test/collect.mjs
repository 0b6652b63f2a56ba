// SPDX-License-Identifier: Apache-2.0

// Drops objects in every order while the collector runs; needs --expose-gc. Arguments: object file, namespace.
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BpfObject, EventRing, HoldDevice, Namespace, attach, records } from '../dist/index.js';

const [file, name] = process.argv.slice(2);
const descriptors = () => readdirSync('/proc/self/fd').length;
let bytes = 0;
let frames = 0;

function round(turn) {
  const object = new BpfObject({ file, pins: null });
  const namespace = Namespace.open(name);
  const map = object.map('table');
  const memory = new BigUint64Array(object.map('shared').mmap());
  memory[0] = BigInt(turn);
  const buffer = new ArrayBuffer(128 * 1024);
  // Nobody keeps the ring, the device or the watch: they go on until they are closed.
  const ring = new EventRing(object.map('events'), buffer, (more) => {
    bytes += [...records(buffer, more)].length;
    ring.close();
  });
  const hold = new HoldDevice({
    namespace,
    name: `gc${turn}`,
    buffer: new ArrayBuffer(128 * 1024),
    onFrames: () => undefined,
  });
  attach({
    program: object.program('pass'),
    namespace,
    ifindex: hold.ifindex,
    side: 'ingress',
    mode: 'auto',
    pin: null,
  });
  const watch = namespace.watch(() => frames++);
  object.program('flood').testRun({ data: new Uint8Array(60), repeat: 3 });
  const entries = map.entries();
  if (turn % 2 === 0) map.close();
  if (turn % 3 === 0) object.close();
  setTimeout(() => {
    hold.close();
    watch.close();
  }, 30);
  return { entries, memory };
}

// The first round opens what stays open (libuv's threads, the loop's own descriptors).
await round(0).entries;
await sleep(100);
globalThis.gc();
await sleep(20);
const before = descriptors();
const kept = [];
for (let turn = 1; turn <= 12; turn++) {
  const { entries, memory } = round(turn);
  globalThis.gc();
  await entries;
  if (turn % 4 === 0) kept.push(memory);
}
await sleep(150);
for (let i = 0; i < 5; i++) {
  globalThis.gc();
  await sleep(10);
}
const after = descriptors();
console.log(JSON.stringify({ records: bytes, leaked: after - before, kept: kept.map((memory) => Number(memory[0])) }));
