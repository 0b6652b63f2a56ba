// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Config } from '@relatd/config';
import { pinDirectory, requestOf, type FlowRecord, type RequestRecord, type TupleRecord } from '@relatd/datapath';
import type { Namespace as LabNamespace } from '@relatd/lab';
import { attach, BpfObject, boottimeNs, EventRing, mountBpffs, Namespace, type BpfProgram } from '@relatd/native';
import { portRequests, writeBank } from '../../packages/datapath/src/assignmentBanks.js';
import {
  ASSIGNMENT_NAME_SIZE,
  CONFIG_SIZE,
  FlowFlag,
  FlowKind,
  HoldPolicy,
  Limit,
  RequestOp,
  writeAssignmentName,
  writeConfig,
  zeroAssignmentName,
  zeroConfig,
} from '../../packages/datapath/src/generated/layout.js';
import { Hold } from '../../packages/datapath/src/hold.js';
import { writeInterfaces } from '../../packages/datapath/src/interfaceTable.js';
import { linkPin } from '../../packages/datapath/src/pins.js';
import { Requests } from '../../packages/datapath/src/requests.js';
import { viewOf } from '../../packages/datapath/src/bytes.js';
import { numberKey, Tables } from '../../packages/datapath/src/tables.js';
import { reverseTuple } from '../../packages/datapath/src/tuple.js';
import { portAssignments } from '../../packages/engine/src/assignments.js';
import { planInterfaces } from '../../packages/engine/src/interfaces.js';

/** The object of the last version with layout 1: commit a6afc9e. */
const file = fileURLToPath(new URL('../fixtures/layout-1.bpf.o', import.meta.url));

const nanoseconds = (milliseconds: number): bigint => BigInt(milliseconds) * 1_000_000n;

/** A control connection of the version before. */
export interface Layout1Flow {
  readonly id: string;
  /** From its opener. */
  readonly tuple: TupleRecord;
}

/**
 * The version before, at work: its own object with its own tables pinned and attached, and of its daemon what it did with them. It reads events, held
 * packets go on at once, and what is expected the test says. What it shares with today's version, which is all but
 * `streams`, is written by today's code.
 */
export class Layout1 implements Disposable {
  readonly directory: string;
  readonly tables: Tables;
  readonly #namespace: Namespace;
  readonly #object: BpfObject;
  readonly #requests: Requests;
  readonly #hold: Hold;
  readonly #events: EventRing;
  #running = true;

  constructor(gateway: LabNamespace, config: Config) {
    this.#namespace = Namespace.open(gateway.path);
    this.directory = pinDirectory(this.#namespace);
    mountBpffs();
    mountBpffs(this.directory);
    const { flows, control, expectations, embryonic } = config.limits;
    const maxEntries = {
      ...{ flows, flow_slots: flows, flow_free: flows, streams: control },
      ...{ expects: expectations, expect_index: expectations, expect_free: expectations },
      embryos: 2 ** Math.floor(Math.log2(embryonic / Limit.embryoWays)),
    };
    this.#object = new BpfObject({ file, pins: this.directory, namespace: this.#namespace, maxEntries });
    this.tables = new Tables((name) => this.#object.map(name));
    this.#requests = new Requests(this.#program('request'));
    this.#hold = new Hold(
      this.#namespace,
      this.#program('hold'),
      (frames) => {
        this.#hold.release(frames);
      },
      () => undefined,
    );
    this.#events = new EventRing(this.tables.map('events'), new ArrayBuffer(1 << 20), () => undefined);
    this.#configure(config, maxEntries.embryos);
    this.tables.map('programs').setProgram(numberKey(0), this.#program('main'));
    this.#program('sweep').testRun({ data: new Uint8Array(Limit.requestHeader), cb: [Limit.sweepArm] });
    this.#attach(config);
  }

  #program(name: string): BpfProgram {
    return this.#object.program(`relatd_${name}`);
  }

  #configure(config: Config, embryos: number): void {
    const bytes = new Uint8Array(CONFIG_SIZE);
    writeConfig(viewOf(bytes), 0, {
      ...zeroConfig(),
      layout: 1,
      seed: randomBytes(8).readBigUInt64LE(),
      releaseMark: randomBytes(4).readUInt32LE() | 1,
      holdIfindex: this.#hold.ifindex,
      holdPolicy: HoldPolicy[config.hold.unavailable],
      holdDeadline: nanoseconds(config.hold.deadline),
      markMask: config.mark.mask,
      idleControl: nanoseconds(config.idle.control),
      idleRelated: nanoseconds(config.idle.related),
      idleHalfOpen: nanoseconds(config.idle.halfOpen),
      idleClosed: nanoseconds(config.idle.closed),
      perSource: config.limits.perSource,
      maxFlows: config.limits.flows,
      maxControls: config.limits.control,
      maxExpectations: config.limits.expectations,
      embryoMask: embryos - 1,
      started: boottimeNs(),
    });
    this.tables.map('config').update(numberKey(0), bytes);
  }

  #attach(config: Config): void {
    const interfaces = this.#namespace.interfaces();
    const { watched, entries } = planInterfaces(interfaces, config, this.#hold.name);
    writeInterfaces(this.tables, entries);
    const ids = new Map(config.assignments.map((assignment, id) => [assignment, id]));
    for (const [{ name, helper }, id] of ids) {
      const record = zeroAssignmentName();
      new TextEncoder().encodeInto(name, record.name);
      new TextEncoder().encodeInto(helper, record.helper);
      const bytes = new Uint8Array(ASSIGNMENT_NAME_SIZE);
      writeAssignmentName(viewOf(bytes), 0, record);
      this.tables.map('assignment_names').update(numberKey(id), bytes);
    }
    const ports = portAssignments(
      config.assignments,
      (assignment) => ids.get(assignment) ?? 0,
      (name) => interfaces.find((one) => one.name === name)?.index,
    );
    writeBank(this.tables, 0, ports);
    this.#ask(...portRequests(RequestOp.portTake, ports));
    for (const { ifindex } of watched) {
      for (const side of ['ingress', 'egress'] as const) {
        const pin = linkPin(this.directory, ifindex, side);
        attach({ program: this.#program(side), namespace: this.#namespace, ifindex, side, mode: 'auto', pin });
      }
    }
  }

  #ask(...requests: RequestRecord[]): readonly Pick<RequestRecord, 'id'>[] {
    const answers = this.#requests.run(requests);
    for (const [index, { result }] of answers.entries())
      if (result !== 0)
        throw new Error(`layout 1 answers request ${String(requests[index]?.op)} with ${String(result)}`);
    return answers;
  }

  /** The program that all hooks run, by its id. */
  get program(): number {
    return this.#program('main').id;
  }

  /** Flows by id as people see it. */
  async flows(): Promise<Map<string, FlowRecord>> {
    return new Map((await this.tables.flows()).map(({ flow }) => [String(flow.id), flow]));
  }

  /** The control connection that was opened from a port; undefined while there is none. */
  async control(sourcePort: number): Promise<Layout1Flow | undefined> {
    for (const { key, flow } of await this.tables.flows()) {
      const tuple = flow.flags & FlowFlag.openerIsSecond ? reverseTuple(key) : key;
      if (flow.kind === FlowKind.control && tuple.sourcePort === sourcePort) return { id: String(flow.id), tuple };
    }
    return undefined;
  }

  /** Says that the dialogue was found to be FTP. */
  recognise({ tuple }: Layout1Flow): void {
    this.#ask(requestOf({ op: RequestOp.trust, master: tuple }));
  }

  /** Expects a connection to a port of the end that announces it. Returns the expectation's id. */
  expect({ tuple }: Layout1Flow, announcer: 'client' | 'server', port: number): string {
    const { source, destination } = announcer === 'server' ? tuple : reverseTuple(tuple);
    const [answer] = this.#ask(
      requestOf({
        op: RequestOp.expect,
        master: tuple,
        direction: announcer === 'server' ? 1 : 0,
        limit: 1,
        timeout: nanoseconds(300_000),
        tuple: { ...tuple, source, destination, sourcePort: 0, destinationPort: port },
      }),
    );
    return String(answer?.id);
  }

  /** Its daemon dies: what is pinned goes on. */
  die(): void {
    if (!this.#running) return;
    this.#running = false;
    while (this.#events.drain() > 0);
    this.#events.close();
    this.#hold.close();
    this.tables.close();
    this.#object.close();
    this.#namespace.close();
  }

  [Symbol.dispose](): void {
    this.die();
  }
}
