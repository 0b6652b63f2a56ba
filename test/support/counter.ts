// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Namespace as LabNamespace, removeOnDeath } from '@relatd/lab';
import { attach, BpfObject, detach, Namespace, type Attachment, type AttachOptions, type Side } from '@relatd/native';

const source = fileURLToPath(new URL('counter.bpf.c', import.meta.url));

/** What a {@link Counter} saw. */
export interface Sight {
  readonly packets: number;
  /** Those that had a mark. */
  readonly marked: number;
}

/** Compiles somebody else's program; the result goes with `close`, or this process. */
export class CounterObject {
  readonly file: string;
  readonly #directory: string;
  readonly #withdraw: () => void;

  private constructor(directory: string) {
    this.#directory = directory;
    this.#withdraw = removeOnDeath(directory);
    this.file = join(directory, 'counter.bpf.o');
  }

  static async compile(): Promise<CounterObject> {
    const object = new CounterObject(mkdtempSync(join(tmpdir(), `relatd-lab-${String(process.pid)}-`)));
    // Where Debian has asm/types.h.
    const triplet = (await LabNamespace.here.run('cc', ['-print-multiarch'])).trim();
    const include = `-I/usr/include/${triplet}`;
    await LabNamespace.here.run('clang', [
      ...['-O2', '-g', '-target', 'bpf', include, '-c', source, '-o', object.file],
    ]);
    return object;
  }

  close(): void {
    rmSync(this.#directory, { recursive: true, force: true });
    this.#withdraw();
  }
}

/** Where somebody else's program sits. */
export type CounterPlace = Pick<AttachOptions, 'mode' | 'order' | 'priority'> & {
  readonly interface: string;
  readonly side: Side;
  /** `foreign` (the default) counts; `forge` also sets the mark to 0x52000007. */
  readonly program?: 'foreign' | 'forge';
};

/** Somebody else's program on one hook. */
export class Counter {
  readonly #object: BpfObject;
  readonly #namespace: Namespace;
  readonly #attachment: Attachment;
  readonly #withdraw: () => void;

  constructor(object: CounterObject, lab: LabNamespace, place: CounterPlace) {
    this.#object = new BpfObject({ file: object.file, pins: null });
    this.#namespace = Namespace.open(lab.path);
    const { interface: name, program = 'foreign', ...where } = place;
    const found = this.#namespace.interfaces().find((one) => one.name === name);
    if (found === undefined) throw new Error(`${lab.name} has no interface ${name}`);
    const hook = { namespace: this.#namespace, ifindex: found.index, ...where };
    this.#attachment = attach({ ...hook, program: this.#object.program(program), pin: null });
    this.#withdraw = () => {
      if (place.mode === 'clsact') detach({ ...hook, pin: null });
    };
  }

  get sight(): Sight {
    const { values } = this.#object.map('seen').entriesSync();
    const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
    return { packets: Number(view.getBigUint64(0, true)), marked: Number(view.getBigUint64(8, true)) };
  }

  close(): void {
    this.#attachment.close();
    this.#withdraw();
    this.#object.close();
    this.#namespace.close();
  }
}
