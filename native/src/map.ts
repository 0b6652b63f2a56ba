// SPDX-License-Identifier: Apache-2.0
import { argumentError } from './errors.js';
import { binding, type NativeMap } from './binding.js';
import { handle } from './handle.js';
import type { BpfProgram } from './program.js';

/** Constant properties of a map. */
export interface MapInfo {
  readonly id: number;
  /** BPF_MAP_TYPE_ number. */
  readonly type: number;
  /** The type's name as bpftool prints it: `hash`, `percpu_array`, `ringbuf` …; `type-N` when unknown here. */
  readonly typeName: string;
  /** The kernel's name, cut to 15 characters. */
  readonly name: string;
  readonly keySize: number;
  readonly valueSize: number;
  /** Bytes of one value in {@link MapEntries.values}: for per-CPU maps one 8-aligned value per possible CPU. */
  readonly valueStride: number;
  readonly maxEntries: number;
  /** BPF_F_ bits the map was made with. */
  readonly flags: number;
  /** Possible CPUs for per-CPU maps, else 1. */
  readonly copies: number;
}

/** A whole table: `count` keys of `keySize` bytes and as many values of `valueStride` bytes, back to back. */
export interface MapEntries {
  readonly count: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
}

/** When an update may write: always, only a new entry, only an entry that is there. */
export type UpdateFlags = 'any' | 'create' | 'exist';

const updateFlags: Readonly<Record<UpdateFlags, number>> = { any: 0, create: 1, exist: 2 };

function flagBits(flags: string): number {
  const bits = (updateFlags as Readonly<Record<string, number>>)[flags];
  if (bits === undefined) throw argumentError(`flags must be any, create or exist, not ${flags}`);
  return bits;
}

/** A BPF map. Holds its own descriptor: closing the object that it came from does not close it. */
export class BpfMap {
  /** @internal */
  readonly [handle]: NativeMap;
  readonly info: MapInfo;

  /** @internal Use {@link BpfMap.openPinned} or BpfObject.map. */
  constructor(native: NativeMap) {
    this[handle] = native;
    this.info = native.info as MapInfo;
  }

  /**
   * Opens a pinned map.
   * @throws RELATD_NOT_FOUND, RELATD_NO_PERMISSION, RELATD_ARGUMENT (the pin is no map)
   */
  static openPinned(path: string): BpfMap {
    return new BpfMap(new binding.BpfMap(path));
  }

  get id(): number {
    return this.info.id;
  }
  get name(): string {
    return this.info.name;
  }
  get type(): string {
    return this.info.typeName;
  }
  get keySize(): number {
    return this.info.keySize;
  }
  get valueSize(): number {
    return this.info.valueSize;
  }
  get valueStride(): number {
    return this.info.valueStride;
  }
  get maxEntries(): number {
    return this.info.maxEntries;
  }
  /** What the kernel charges for this map now, in bytes. */
  get memoryBytes(): number {
    return this[handle].memoryBytes;
  }

  /** One entry (`valueStride` bytes), or null. */
  lookup(key: Uint8Array): Uint8Array | null {
    return this[handle].lookup(key);
  }

  /** @throws RELATD_TABLE_FULL, RELATD_EXISTS (`create`), RELATD_NOT_FOUND (`exist`) */
  update(key: Uint8Array, value: Uint8Array, flags: UpdateFlags = 'any'): void {
    this[handle].update(key, value, flagBits(flags));
  }

  /** Whether there was an entry. */
  delete(key: Uint8Array): boolean {
    return this[handle].delete(key);
  }

  /** The whole table, read on a worker thread. Not a snapshot: entries that change meanwhile may be missed or seen with either value. */
  entries(): Promise<MapEntries> {
    return this[handle].entries() as Promise<MapEntries>;
  }

  /** As {@link entries}, on the calling thread: for small tables. */
  entriesSync(): MapEntries {
    return this[handle].entriesSync() as MapEntries;
  }

  /**
   * Writes `count` entries from arrays of back-to-back keys and values.
   * An error has `done`: the number of entries written before it.
   */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number, flags: UpdateFlags = 'any'): void {
    this[handle].updateBatch(keys, values, count, flagBits(flags));
  }

  /** Deletes `count` keys; those that are not there are passed over. Returns how many were there. */
  deleteBatch(keys: Uint8Array, count: number): number {
    return this[handle].deleteBatch(keys, count);
  }

  /** Puts a program into a program array. */
  setProgram(key: Uint8Array, program: BpfProgram): void {
    this[handle].setProgram(key, program[handle]);
  }

  /** Puts a map into an array or hash of maps. */
  setMap(key: Uint8Array, map: BpfMap): void {
    this[handle].setMap(key, map[handle]);
  }

  /**
   * Shared memory with the kernel: an array made with BPF_F_MMAPABLE, .bss or .data. Elements stand at multiples of
   * `valueSize` rounded up to 8. The buffer keeps the mapping; closing the map does not end it.
   * @throws RELATD_ARGUMENT (not mappable)
   */
  mmap(): ArrayBuffer {
    return this[handle].mmap();
  }

  /** Pins in a bpffs; missing directories are made. @throws RELATD_EXISTS, RELATD_NO_BPFFS */
  pin(path: string): void {
    this[handle].pin(path);
  }

  close(): void {
    this[handle].close();
  }
}
