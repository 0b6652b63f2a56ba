// SPDX-License-Identifier: Apache-2.0

// What a user without rights is told. Arguments: object file, namespace.
import { dirname } from 'node:path';
import { BpfObject, HoldDevice, Namespace, checkSystem, mountBpffs } from '../dist/index.js';

const [file, name] = process.argv.slice(2);
const told = (call) => {
  try {
    call();
    return 'nothing';
  } catch (error) {
    return `${error.code}: ${error.message}`;
  }
};
const buffer = new ArrayBuffer(128 * 1024);
console.log(
  JSON.stringify({
    check: checkSystem().problems.map(({ code }) => code),
    load: told(() => new BpfObject({ file, pins: null })),
    enter: told(() => Namespace.open(name).interfaces()),
    own: told(() => Namespace.current().interfaces()),
    hold: told(
      () => new HoldDevice({ namespace: Namespace.current(), name: 'np0', buffer, onFrames: () => undefined }),
    ),
    mount: told(() => mountBpffs(dirname(file))),
  }),
);
