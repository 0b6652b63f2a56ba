// SPDX-License-Identifier: Apache-2.0
import { binding, type NativeObject } from './binding.js';
import { handle } from './handle.js';
import { BpfMap } from './map.js';
import type { Namespace } from './namespace.js';
import { BpfProgram } from './program.js';

/** How an object file is loaded. */
export interface ObjectOptions {
  /** The compiled object. */
  file: string;
  /**
   * A directory in a bpffs: maps are pinned at `<pins>/maps/<name>` and reused from there, programs at
   * `<pins>/programs/<name>` (replacing what is pinned). null: nothing is pinned.
   */
  pins: string | null;
  /** Sizes by map name, in place of those in the file. */
  maxEntries?: Readonly<Record<string, number>>;
  /** Only these maps are made, and no program is loaded. Default: everything. */
  onlyMaps?: readonly string[];
  /** Load inside this namespace. */
  namespace?: Namespace;
  /** Keep the verifier's full log also when it accepts: slow, megabytes. Default false. */
  verifierLog?: boolean;
}

/** A pinned map whose size differs from the one asked for: the pinned size stays. */
export interface KeptMap {
  readonly map: string;
  readonly entries: number;
  readonly asked: number;
}

/**
 * A loaded object file. Sections: names of maps are those in the C source; libbpf's own are `bss`, `data`, `rodata`,
 * `kconfig`. Of these bss and data are reused like any other map, since live counters stand in them; rodata and kconfig
 * belong to one compiled object, so they are reused only when their content is the same and replaced otherwise.
 */
export class BpfObject {
  /** @internal */
  readonly [handle]: NativeObject;
  /** Pinned maps that kept another size than asked for. */
  readonly kept: readonly KeptMap[];

  /**
   * Loads the object.
   * @throws RELATD_LAYOUT (a pinned map has another type, key or value size: the message names it), RELATD_VERIFIER
   * (`error.log` has the log's end), RELATD_OBJECT (not a BPF object), RELATD_NO_PERMISSION, RELATD_NO_BPFFS,
   * RELATD_NOT_FOUND (file, or a name in `maxEntries`), RELATD_KERNEL_TOO_OLD
   */
  constructor(options: ObjectOptions) {
    this[handle] = new binding.BpfObject(
      options.file,
      options.pins,
      Object.entries(options.maxEntries ?? {}).flat(),
      options.namespace?.[handle] ?? null,
      options.verifierLog ?? false,
      options.onlyMaps === undefined ? null : [...options.onlyMaps],
    );
    this.kept = this[handle].kept as KeptMap[];
  }

  /** The full verifier log when it was asked for, else ''. */
  get verifierLog(): string {
    return this[handle].verifierLog;
  }

  /** @throws RELATD_NOT_FOUND */
  map(name: string): BpfMap {
    return new BpfMap(this[handle].map(name));
  }

  /** @throws RELATD_NOT_FOUND */
  program(name: string): BpfProgram {
    return new BpfProgram(this[handle].program(name));
  }

  maps(): string[] {
    return this[handle].mapNames();
  }

  programs(): string[] {
    return this[handle].programNames();
  }

  /** Releases the object; pins, attached programs and maps taken from it stay. */
  close(): void {
    this[handle].close();
  }
}
