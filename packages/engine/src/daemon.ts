// SPDX-License-Identifier: Apache-2.0
import { formatProblem, loadConfig, type Assignment, type Config } from '@relatd/config';
import { Datapath, FlowKind, HoldPolicy, Namespace, checkSystem, type FlowRecord } from '@relatd/datapath';
import { helpers } from '@relatd/helpers';
import {
  RelatdError,
  type Counters,
  type EngineView,
  type Event,
  type Expectation,
  type Flow,
  type FlowDetail,
  type ReloadResult,
  type Status,
} from '@relatd/model';
import { AssignmentIds, guardRecords, portAssignments } from './assignments.js';
import type { DetailBox } from './connection.js';
import { Connections } from './connections.js';
import { expectationOf, flowOf, openerTuple, reasonOf, type Names } from './convert.js';
import { EventHub } from './eventHub.js';
import { EventTranslator } from './eventTranslator.js';
import { InterfaceKeeper } from './interfaceKeeper.js';
import { Statistics } from './statistics.js';
import { daemonStatus, tableStatus, holdStatus } from './status.js';

/** Where a daemon's messages go. */
export interface Logger {
  info(message: string): void;
  warn(message: string): void;
}

/** How a daemon is started. */
export interface DaemonOptions {
  readonly configPath: string;
  /** Name or path of the network namespace to serve; null: the caller's. */
  readonly netns: string | null;
  /** Overrides listen.socket. */
  readonly socketPath: string | null;
  /** Remove everything at the stop. */
  readonly ephemeral: boolean;
  /** Remove pinned state that this version cannot read. */
  readonly discardState?: boolean;
  readonly logger: Logger;
}

const HOUSEKEEPING_MS = 1000;
/** How many rounds of housekeeping pass between two looks through the tables. */
const PRUNE_ROUNDS = 60;

const nanoseconds = (milliseconds: number): bigint => BigInt(milliseconds) * 1_000_000n;

/** The daemon of one network namespace: configuration in, datapath under it, events and tables out. */
export class Daemon implements EngineView {
  readonly #options: DaemonOptions;
  readonly #namespace: Namespace;
  readonly #datapath: Datapath;
  readonly #connections: Connections;
  readonly #interfaces: InterfaceKeeper;
  readonly #hub = new EventHub();
  readonly #statistics = new Statistics();
  readonly #ids: AssignmentIds;
  readonly #started = Date.now();
  #byId = new Map<number, Assignment>();
  #config: Config;
  #warnings: readonly string[];
  #drainEvents: () => void = () => undefined;
  #rounds = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #begun = false;

  private constructor(options: DaemonOptions, namespace: Namespace, config: Config, warnings: readonly string[]) {
    this.#options = options;
    this.#namespace = namespace;
    this.#config = config;
    this.#warnings = warnings;
    const { flows, control: controls, expectations, embryonic } = config.limits;
    const sizes = { flows, controls, expectations, embryonic };
    this.#datapath = Datapath.open(namespace, sizes, options.discardState ?? false);
    this.#ids = new AssignmentIds((id) => this.#datapath.tables.assignmentName(id));
    this.#connections = new Connections({
      datapath: this.#datapath,
      assignment: (id) => this.#byId.get(id) ?? null,
      helper: (name) => helpers.get(name) ?? null,
      refused: (connection, expect, reason) => {
        this.#emit(this.#translator.refused(connection, expect, reason));
      },
    });
    this.#interfaces = new InterfaceKeeper(namespace, this.#datapath, options.logger);
  }

  /** Loads, attaches and begins to serve. Rejects, with everything undone, when that cannot be done. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config, warnings } = await readConfig(options.configPath);
    const [problem] = checkSystem().problems;
    if (problem !== undefined) throw Object.assign(new Error(problem.message), { code: problem.code });
    const namespace = options.netns === null ? Namespace.current() : Namespace.open(options.netns);
    const daemon = new Daemon(options, namespace, config, warnings);
    try {
      await daemon.#begin();
      daemon.#begun = true;
      return daemon;
    } catch (error) {
      await daemon.stop();
      throw error;
    }
  }

  /** Tells how many events nobody could read, and forgets what the tables no longer have. */
  async #housekeep(): Promise<void> {
    this.#tellLost();
    if (++this.#rounds % PRUNE_ROUNDS !== 0) return;
    const [entries, expectations] = await Promise.all([
      this.#datapath.tables.flows(),
      this.#datapath.tables.expectations(),
    ]);
    const flows = new Set(entries.map(({ flow }) => flow.id));
    this.#connections.prune(flows, new Set(expectations.map(({ live }) => live)));
    for (const id of this.#details.keys()) if (!flows.has(id)) this.#details.delete(id);
  }

  #tellLost(): void {
    const count = this.#datapath.takeLost();
    if (count > 0) this.#emit({ time: new Date().toISOString(), type: 'lost', count });
  }

  async #begin(): Promise<void> {
    const dead = Datapath.removeDead(this.#namespace);
    if (dead > 0) this.#options.logger.info(`removed what ${String(dead)} vanished network namespaces had left`);
    for (const { map, entries, asked } of this.#datapath.kept)
      this.#options.logger.warn(
        `table ${map} keeps its ${String(entries)} entries (${String(asked)} asked): sizes change after \`relatd down\``,
      );
    this.#drainEvents = this.#datapath.readEvents({
      event: (record) => {
        this.#event(record);
      },
      sample: (record) => {
        this.#connections.sample(record);
      },
    });
    await this.#apply(this.#config);
    this.#interfaces.requireAll(this.#config);
    this.#hold();
    if (this.#datapath.adopted) {
      const count = await this.#connections.adoptAll();
      this.#options.logger.info(`took over ${String(count)} control connections`);
    }
    this.#timer = setInterval(() => {
      this.#housekeep().catch((error: unknown) => {
        if (!this.#stopped) this.#options.logger.warn(`housekeeping: ${String(error)}`);
      });
    }, HOUSEKEEPING_MS);
  }

  #hold(): void {
    this.#datapath.hold(
      (frames) => {
        // What happened before these frames were held is told first.
        this.#drainEvents();
        this.#connections.frames(frames);
      },
      () => {
        this.#options.logger.warn('the hold device was deleted; making another');
        this.#hold();
      },
    );
    this.#interfaces.holdDevice = this.#datapath.holdDevice;
  }

  async #apply(config: Config): Promise<void> {
    const datapath = this.#datapath;
    datapath.configure({
      markMask: config.mark.mask,
      holdPolicy: HoldPolicy[config.hold.unavailable],
      holdDeadline: nanoseconds(config.hold.deadline),
      idleControl: nanoseconds(config.idle.control),
      idleRelated: nanoseconds(config.idle.related),
      idleHalfOpen: nanoseconds(config.idle.halfOpen),
      idleClosed: nanoseconds(config.idle.closed),
      perSource: config.limits.perSource,
    });
    const inUse = new Set((await datapath.tables.flows()).map(({ flow }) => flow.assignment));
    const byId = new Map<number, Assignment>();
    for (const assignment of config.assignments) {
      const id = this.#ids.number(assignment, inUse, (number, name) => {
        datapath.nameAssignment(number, name);
      });
      byId.set(id, assignment);
    }
    this.#byId = byId;
    this.#config = config;
    const idOf = new Map([...byId].map(([id, assignment]) => [assignment, id]));
    datapath.guard(guardRecords(config.guard));
    this.#interfaces.onChange = (ifindexOf) => {
      datapath.assign(portAssignments(config.assignments, (assignment) => idOf.get(assignment) ?? 0, ifindexOf));
    };
    this.#interfaces.apply(config);
  }

  readonly #names: Names = {
    assignment: (id) => this.#ids.name(id),
    interface: (ifindex) => this.#interfaces.name(ifindex),
    detail: (flow) => this.#detail(flow),
  };

  readonly #translator = new EventTranslator(this.#names);
  /** What related flows, and control connections that are over, were for. */
  readonly #details = new Map<bigint, DetailBox>();

  #detail(flow: FlowRecord): FlowDetail | null {
    const level = this.#byId.get(flow.assignment)?.detail ?? 'full';
    const box = flow.kind === FlowKind.control ? this.#connections.byId(flow.id)?.box : this.#details.get(flow.id);
    const detail = box?.detail ?? null;
    if (detail === null || level === 'none') return null;
    if (level === 'full') return { ...detail };
    return { command: detail.command ?? null };
  }

  #event(record: Parameters<EventTranslator['translate']>[0]): void {
    const kind = this.#translator.kind(record);
    if (kind === 'controlNew') this.#connections.began(record);
    if (kind === 'trust') {
      this.#connections.distrusted(record.flow.id, record.reason);
      this.#statistics.distrusted(this.#ids.name(record.flow.assignment).name, reasonOf(record.reason));
    }
    if (kind === 'unattended') this.#connections.attend(record.tuple);
    if (kind === 'relatedNew') {
      const box = this.#connections.takeBox(record.flow.expectation);
      if (box !== undefined) this.#details.set(record.flow.id, box);
    }
    if (kind === 'expectationExpired') this.#connections.takeBox(record.expect.live);
    const event = this.#translator.translate(record);
    if (event !== null) this.#emit(event);
    if (kind === 'controlEnd') {
      const box = this.#connections.byId(record.flow.id)?.box;
      if (box !== undefined) this.#details.set(record.flow.id, box);
      this.#connections.ended(record.flow.id);
    }
  }

  #emit(event: Event | null): void {
    if (event === null) return;
    this.#statistics.emitted(event);
    this.#hub.emit(event);
  }

  /** What `up` prints behind "relatd ready". */
  get ready(): string {
    const names = this.#interfaces.watched.map(({ name }) => name);
    const where = names.length === 0 ? 'no interface yet' : names.join(', ');
    const assignments = this.#config.assignments.map(({ name, port }) => `${name} on port ${String(port)}`);
    return `watching ${where} for ${assignments.join(', ')}`;
  }

  get config(): Config {
    return this.#config;
  }

  get socketPath(): string {
    return this.#options.socketPath ?? this.#config.listen.socket;
  }

  async flows(): Promise<Flow[]> {
    this.#drainEvents();
    const entries = await this.#datapath.tables.flows();
    const alive = new Set(entries.map(({ flow }) => flow.id));
    for (const id of this.#details.keys()) if (!alive.has(id)) this.#details.delete(id);
    return entries
      .filter(({ flow }) => flow.id !== 0n && flow.state !== 0)
      .map((entry) => flowOf(openerTuple(entry), entry.flow, this.#names))
      .sort((a, b) => Number(BigInt(a.id) - BigInt(b.id)));
  }

  async expectations(): Promise<Expectation[]> {
    this.#drainEvents();
    const records = await this.#datapath.tables.expectations();
    return records
      .map((record) => expectationOf(record, this.#names))
      .filter(({ expiresSeconds }) => expiresSeconds !== 0)
      .sort((a, b) => Number(BigInt(a.id) - BigInt(b.id)));
  }

  async status(): Promise<Status> {
    const flows = await this.flows();
    return daemonStatus({
      datapath: this.#datapath,
      namespace: this.#options.netns ?? 'current',
      config: this.#config,
      flows,
      interfaces: this.#interfaces,
      started: this.#started,
      warnings: this.#warnings,
    });
  }

  async counters(): Promise<Counters> {
    const [flows, expectations] = await Promise.all([this.flows(), this.expectations()]);
    const reasons = this.#datapath.tables.counters();
    return {
      reasons,
      assignments: this.#statistics.assignments(this.#config.assignments, flows, expectations),
      interfaces: this.#interfaces.status().map(({ name, watched }) => ({ name, watched })),
      tables: tableStatus(this.#datapath.tables),
      losses: this.#statistics.losses(reasons),
      hold: holdStatus(this.#datapath.holdDevice, this.#config.hold.unavailable, reasons),
    };
  }

  subscribe(listener: (event: Event) => void): () => void {
    return this.#hub.subscribe(listener);
  }

  async reload(): Promise<ReloadResult> {
    const { config, warnings } = await readConfig(this.#options.configPath);
    const before = this.#config;
    const messages: string[] = [];
    if (
      JSON.stringify(config.limits) !== JSON.stringify(before.limits) &&
      config.limits.perSource === before.limits.perSource
    )
      messages.push('table sizes change after `relatd down`: they stay as they are');
    if (JSON.stringify(config.listen) !== JSON.stringify(before.listen))
      messages.push('listen changes at the next start');
    await this.#apply(config);
    this.#warnings = warnings;
    for (const name of this.#interfaces.missing) messages.push(`interface ${name} is not there yet`);
    const replacer = (_key: string, value: unknown): unknown => (value instanceof Map ? [...value] : value);
    return { changed: JSON.stringify(config, replacer) !== JSON.stringify(before, replacer), messages };
  }

  /** Stops serving; what is pinned goes on, unless the daemon is ephemeral. */
  stop(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#interfaces.close();
    this.#datapath.close();
    // A first start that failed leaves nothing either.
    if (this.#options.ephemeral || (!this.#begun && !this.#datapath.adopted)) Datapath.remove(this.#namespace);
    this.#namespace.close();
    return Promise.resolve();
  }
}

async function readConfig(path: string): Promise<{ config: Config; warnings: readonly string[] }> {
  const result = await loadConfig(path);
  if (result.config === undefined)
    throw RelatdError.with(
      { problems: result.problems.map(formatProblem) },
      'CONFIG_INVALID',
      path,
      result.problems.length,
    );
  return { config: result.config, warnings: result.warnings.map(({ message }) => message) };
}
