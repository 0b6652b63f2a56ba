// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The addon's classes and functions as C++ exports them: positional arguments, no defaults. Not for use outside this package. */
export interface Binding {
  readonly errorCodes: readonly string[];
  readonly Namespace: new (path: string | null) => NativeNamespace;
  readonly BpfObject: new (
    file: string,
    pins: string | null,
    maxEntries: readonly (string | number)[],
    namespace: NativeNamespace | null,
    verifierLog: boolean,
    onlyMaps: readonly string[] | null,
  ) => NativeObject;
  readonly BpfMap: new (path: string) => NativeMap;
  readonly BpfProgram: new (path: string) => NativeProgram;
  readonly EventRing: new (
    map: NativeMap,
    buffer: ArrayBuffer,
    intervalMs: number,
    onBatch: (bytes: number) => void,
  ) => NativeRing;
  readonly HoldDevice: new (
    namespace: NativeNamespace,
    name: string,
    queueLength: number,
    mtu: number,
    buffer: ArrayBuffer,
    onFrames: (bytes: number, frames: number, errno: number) => void,
  ) => NativeHold;
  readonly Conntrack: new (namespace: NativeNamespace) => NativeConntrack;
  readonly DirectoryLock: new (path: string) => NativeClosable;
  attach(
    program: NativeProgram,
    namespace: NativeNamespace,
    ifindex: number,
    egress: boolean,
    mode: string,
    first: boolean,
    pin: string | null,
    priority: number,
  ): NativeAttachment;
  detach(
    namespace: NativeNamespace,
    ifindex: number,
    egress: boolean,
    mode: string,
    pin: string | null,
    priority: number,
  ): boolean;
  query(namespace: NativeNamespace, ifindex: number, egress: boolean): unknown;
  linkInterface(pin: string): number;
  attachCgroup(program: NativeProgram, type: string, pin: string): void;
  pinMatch(programs: NativeMap, number: number, path: string): void;
  mountBpffs(path: string): boolean;
  removePins(path: string): number;
  checkSystem(): unknown;
  notify(address: string, message: string): void;
  monotonicNs(): bigint;
  boottimeNs(): bigint;
}

/** A native object that holds a descriptor; `close` may be called any number of times. */
export interface NativeClosable {
  readonly open: boolean;
  close(): void;
}

/** @see Binding */
export interface NativeNamespace extends NativeClosable {
  readonly cookie: bigint;
  readonly inode: bigint;
  interfaces(): unknown;
  watch(callback: () => void, coalesceMs: number): NativeLoopHandle;
}

/** A native object with a poll on the event loop. */
export interface NativeLoopHandle extends NativeClosable {
  ref(): void;
  unref(): void;
}

/** @see Binding */
export interface NativeObject extends NativeClosable {
  readonly kept: unknown;
  readonly verifierLog: string;
  mapNames(): string[];
  programNames(): string[];
  map(name: string): NativeMap;
  program(name: string): NativeProgram;
}

/** @see Binding */
export interface NativeMap extends NativeClosable {
  readonly info: unknown;
  readonly memoryBytes: number;
  lookup(key: Uint8Array): Uint8Array | null;
  update(key: Uint8Array, value: Uint8Array, flags: number): void;
  delete(key: Uint8Array): boolean;
  entries(): Promise<unknown>;
  entriesSync(): unknown;
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number, flags: number): void;
  deleteBatch(keys: Uint8Array, count: number): number;
  setProgram(key: Uint8Array, program: NativeProgram): void;
  setMap(key: Uint8Array, map: NativeMap): void;
  mmap(): ArrayBuffer;
  pin(path: string): void;
}

/** @see Binding */
export interface NativeProgram extends NativeClosable {
  info(): unknown;
  testRun(
    data: Uint8Array | null,
    ctx: Uint8Array | null,
    repeat: number,
    namespace: NativeNamespace | null,
  ): { verdict: number; data: Uint8Array; ctx: Uint8Array; nanoseconds: number };
  pin(path: string): void;
}

/** @see Binding */
export interface NativeRing extends NativeLoopHandle {
  readonly pending: number;
  readonly oversized: number;
  drain(): number;
}

/** @see Binding */
export interface NativeHold extends NativeLoopHandle {
  readonly ifindex: number;
  readonly name: string;
  write(frames: Uint8Array): number;
  counters(): unknown;
}

/** @see Binding */
export interface NativeConntrack extends NativeClosable {
  relate(connection: Uint8Array, master: Uint8Array): string;
}

/** @see Binding */
export interface NativeAttachment {
  readonly mode: 'tcx' | 'clsact';
  readonly linkId: number | null;
  readonly adopted: boolean;
  readonly link: NativeClosable | null;
}

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));

/** Where the addon may be, in order: beside the installed package, as a Debian package puts it, as built in the checkout. */
function candidates(): string[] {
  return [
    join(packageFolder, 'relatd_native.node'),
    '/usr/lib/relatd/relatd_native.node',
    join(packageFolder, 'build', 'Release', 'relatd_native.node'),
  ];
}

function load(): Binding {
  const built = join(packageFolder, 'binding.gyp');
  // A checkout never takes an installed addon: the two need not be of one version.
  const paths = existsSync(built) ? candidates().slice(2) : candidates();
  const found = paths.find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error(
      `the addon of @relatd/native is not built (looked at ${paths.join(', ')}); run: node ${join(packageFolder, 'build.mjs')}`,
    );
  }
  return createRequire(import.meta.url)(found) as Binding;
}

/** The loaded addon; one instance per Node environment (main thread or worker). */
export const binding: Binding = load();
