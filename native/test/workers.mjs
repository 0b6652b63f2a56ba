// SPDX-License-Identifier: Apache-2.0

// Two workers load the addon and end with polls alive, each in another way. Arguments: object file, namespace.
import { Worker, isMainThread, parentPort, threadId, workerData } from 'node:worker_threads';
import { BpfObject, EventRing, HoldDevice, Namespace } from '../dist/index.js';

function work({ file, name, end }) {
  const object = new BpfObject({ file, pins: null });
  const namespace = Namespace.open(name);
  new HoldDevice({ namespace, name: `w${threadId}`, buffer: new ArrayBuffer(128 * 1024), onFrames: () => undefined });
  namespace.watch(() => undefined);
  object.map('table').entries();
  new EventRing(object.map('events'), new ArrayBuffer(8192), (bytes) => {
    parentPort.postMessage(bytes);
    if (end === 'exit') process.exit(0);
    if (end === 'throw') throw new Error('from the callback');
  });
  object.program('flood').testRun({ data: new Uint8Array(60), repeat: 2 });
}

async function main() {
  const [file, name] = process.argv.slice(2);
  const ends = ['terminate', 'exit', 'throw', 'terminate'];
  const outcomes = await Promise.all(
    ends.map(
      (end) =>
        new Promise((resolve) => {
          const worker = new Worker(new URL(import.meta.url), { workerData: { file, name, end } });
          let bytes = 0;
          let error = '';
          worker.on('message', (more) => {
            bytes += more;
            if (end === 'terminate') worker.terminate();
          });
          worker.on('error', (thrown) => (error = thrown.message));
          worker.on('exit', (code) => resolve({ end, bytes, error, code }));
        }),
    ),
  );
  const left = Namespace.open(name)
    .interfaces()
    .filter((each) => each.kind === 'tun').length;
  console.log(JSON.stringify({ outcomes, left }));
}

if (isMainThread) await main();
else work(workerData);
