// SPDX-License-Identifier: Apache-2.0

// A callback that throws, and what becomes of the process. Arguments: object file, catch | exit | unref | live | none.
import { BpfObject, EventRing, Namespace } from '../dist/index.js';

const [file, how] = process.argv.slice(2);
const object = new BpfObject({ file, pins: null });
const flood = object.program('flood');
const caught = [];
let batches = 0;
if (how === 'catch') process.on('uncaughtException', (error) => caught.push(error.message));
const ring = new EventRing(object.map('events'), new ArrayBuffer(8192), () => {
  batches++;
  if (how === 'exit') process.exit(3);
  if (how === 'live') {
    console.log('alive');
    process.exit(0);
  }
  if (batches === 3) {
    console.log(JSON.stringify({ batches, caught }));
    ring.close();
    return;
  }
  setTimeout(() => flood.testRun({ data: new Uint8Array(60) }), 1);
  throw new Error(`batch ${batches}`);
});
if (how === 'unref') {
  ring.unref();
  const watch = Namespace.current().watch(() => undefined);
  watch.unref();
} else if (how === 'live') {
  // Only the ring keeps the process: the record comes from a timer that does not.
  setTimeout(() => flood.testRun({ data: new Uint8Array(60) }), 100).unref();
} else {
  flood.testRun({ data: new Uint8Array(60) });
}
