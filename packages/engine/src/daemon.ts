// SPDX-License-Identifier: Apache-2.0
import type { Assignment, Config } from '@relatd/config';
import {
  Datapath,
  FlowKind,
  HoldPolicy,
  assertFits,
  checkSystem,
  readHeldOpener,
  type FlowEntry,
  type Namespace,
  type RingRecord,
} from '@relatd/datapath';
import { helpers, type Helper } from '@relatd/helpers';
import {
  REASONS,
  reasonOf,
  type Counters,
  type EngineView,
  type Event,
  type Expectation,
  type Explanation,
  type Flow,
  type OutputStatus,
  type ReloadResult,
  type Status,
  type WhyQuestion,
} from '@relatd/model';
import { AssignmentIds, assertGuardsFit, guardRecords, policyRecord, portAssignments } from './assignments.js';
import { Backlog } from './backlog.js';
import { laterChanges, readConfig, sameConfig, tableSizes } from './configuration.js';
import { Connections } from './connections.js';
import { bootTimeToMs, expectationsOf, flowsOf, type Names } from './convert.js';
import { Details } from './details.js';
import { EventHub } from './eventHub.js';
import { EventTranslator, kindOf } from './eventTranslator.js';
import { explained, messageOf } from './failure.js';
import { InterfaceKeeper } from './interfaceKeeper.js';
import { loadHelpers } from './helpers.js';
import { Limiter } from './limiter.js';
import { openNamespace } from './namespace.js';
import { Relations } from './relations.js';
import { Ruleset } from './ruleset.js';
import { Statistics } from './statistics.js';
import { daemonStatus, holdStatus, lossesOf, tableStatus, version } from './status.js';
import { collectEvidence } from './why/collect.js';
import { explain } from './why/explain.js';
import { History } from './why/history.js';
import { Life } from './why/life.js';
import { refusalBatch, saidBatches } from './why/records.js';

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

/** A flow that is over stays for idle.closed, and until the sweep comes by (bpf/lib/sweep.h). */
const SWEEP_MS = 5000;

const GIVEN_BACK = REASONS.indexOf('given-back');
const DECIDED = REASONS.indexOf('decided');

const nanoseconds = (milliseconds: number): bigint => BigInt(milliseconds) * 1_000_000n;

/** The daemon of one network namespace: configuration in, datapath under it, events and tables out. */
export class Daemon implements EngineView {
  readonly #options: DaemonOptions;
  readonly #namespace: Namespace;
  readonly #datapath: Datapath;
  readonly #connections: Connections;
  readonly #backlog: Backlog;
  readonly #relations: Relations;
  readonly #interfaces: InterfaceKeeper;
  readonly #hub: EventHub;
  readonly #statistics = new Statistics();
  readonly #faults = new Limiter<string>();
  readonly #ids: AssignmentIds;
  readonly #details: Details;
  readonly #names: Names;
  readonly #translator: EventTranslator;
  readonly #ruleset: Ruleset;
  readonly #history = new History();
  readonly #life: Life;
  readonly #started = Date.now();
  /** Control connections of whose words nothing is kept. */
  #discreet = new Set<bigint>();
  #byId: ReadonlyMap<number, Assignment> = new Map();
  #helpers: ReadonlyMap<string, Helper> = helpers;
  #config: Config;
  #warnings: readonly string[];
  #drainEvents: () => void = () => undefined;
  #output: OutputStatus = { attached: false, problem: null };
  /** The last question of why. */
  #answered: Promise<unknown> = Promise.resolve();
  #rounds = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;
  #begun = false;

  private constructor(options: DaemonOptions, namespace: Namespace, config: Config, warnings: readonly string[]) {
    this.#options = options;
    this.#namespace = namespace;
    this.#ruleset = new Ruleset(options.netns);
    this.#config = config;
    this.#warnings = warnings;
    const failed = (error: unknown): void => {
      this.#failed(error);
    };
    this.#hub = new EventHub(failed);
    this.#datapath = Datapath.open(namespace, tableSizes(config), options.discardState ?? false);
    this.#life = lifeOf(this.#datapath);
    this.#ids = new AssignmentIds((id) => this.#datapath.tables.assignmentName(id));
    this.#backlog = new Backlog((record) => {
      this.#guarded(() => {
        this.#follow(record);
      });
    });
    this.#connections = new Connections({
      datapath: this.#datapath,
      read: (id) => {
        this.#backlog.read(id);
      },
      assignment: (id) => this.#byId.get(id) ?? null,
      helper: (name) => this.#helpers.get(name) ?? null,
      refused: (refusal) => {
        this.#history.keep(refusalBatch(refusal));
        const entry = refusal.expect === null ? this.#datapath.tables.flow(refusal.connection.tuple) : null;
        this.#emit(this.#translator.refused(refusal, entry));
      },
      heard: (connection, segment) => {
        if (connection.assignment.detail !== 'full') return;
        for (const batch of saidBatches(connection, segment)) this.#history.keep(batch);
      },
      failed,
    });
    this.#relations = new Relations({
      datapath: this.#datapath,
      master: (id) => {
        this.#backlog.read(id);
        return this.#connections.byId(id)?.tuple ?? null;
      },
    });
    this.#interfaces = new InterfaceKeeper(namespace, this.#datapath, options.logger);
    this.#details = new Details(
      (flow) => this.#connections.byId(flow)?.box,
      (connection) => {
        this.#backlog.read(connection);
      },
      (assignment) => this.#byId.get(assignment)?.detail ?? 'full',
    );
    this.#names = {
      assignment: (id) => this.#ids.name(id),
      interface: (ifindex) => this.#interfaces.name(ifindex),
      detail: (flow) => this.#details.of(flow),
    };
    this.#translator = new EventTranslator(this.#names);
  }

  /** Loads, attaches and begins to serve. Rejects, with everything undone, when that cannot be done. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config, warnings } = await readConfig(options.configPath);
    try {
      const [problem] = checkSystem().problems;
      if (problem !== undefined) throw Object.assign(new Error(problem.message), { code: problem.code });
      return await Daemon.#startIn(openNamespace(options.netns), options, config, warnings);
    } catch (error) {
      throw explained(error, options.netns);
    }
  }

  static async #startIn(
    namespace: Namespace,
    options: DaemonOptions,
    config: Config,
    warnings: readonly string[],
  ): Promise<Daemon> {
    let daemon: Daemon;
    try {
      daemon = new Daemon(options, namespace, config, warnings);
    } catch (error) {
      namespace.close();
      throw error;
    }
    try {
      await daemon.#begin();
      daemon.#begun = true;
      return daemon;
    } catch (error) {
      await daemon.stop();
      throw error;
    }
  }

  async #begin(): Promise<void> {
    const dead = Datapath.removeDead(this.#namespace);
    if (dead > 0) this.#options.logger.info(`removed what ${String(dead)} vanished network namespaces had left`);
    for (const { map, entries, asked } of this.#datapath.kept)
      this.#options.logger.warn(
        `table ${map} keeps its ${String(entries)} entries (${String(asked)} asked): sizes change after \`relatd down\``,
      );
    await this.#apply(this.#config);
    this.#attachConnects();
    this.#interfaces.requireAll(this.#config);
    // Not before assignments are known: what happened while no daemon ran is in there.
    this.#drainEvents = this.#datapath.readEvents(
      (record) => {
        this.#guarded(() => {
          if (record.isSample) this.#sampled(record);
          else this.#happened(record);
        });
      },
      (batch) => {
        this.#history.keep(batch);
      },
    );
    this.#drainEvents();
    this.#hold();
    if (this.#datapath.adopted) {
      await this.#connections.adoptAll();
      this.#options.logger.info(`took over ${String(this.#connections.size)} control connections`);
    }
    this.#timer = setInterval(() => {
      this.#housekeep().catch((error: unknown) => {
        if (!this.#stopped) this.#failed(error);
      });
    }, HOUSEKEEPING_MS);
  }

  /** Without them OUTPUT sees no mark; everything else works. */
  #attachConnects(): void {
    try {
      this.#datapath.attachConnects();
      this.#output = { attached: true, problem: null };
    } catch (error) {
      const problem = `connections that this host opens are not marked: ${messageOf(error)}`;
      this.#output = { attached: false, problem };
      this.#options.logger.warn(problem);
    }
  }

  /** What a callback of the addon throws would end the process. */
  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** A fault of ours: told, at most once a second for each. */
  #failed(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (this.#faults.take(text, '', text) > 0)
      this.#options.logger.warn(`a fault of relatd, please report it: ${text}`);
  }

  #hold(): void {
    this.#datapath.hold(
      (frames) => {
        // What happened before these frames were held is told first.
        this.#drainEvents();
        this.#guarded(() => {
          this.#held(frames);
        });
      },
      () => {
        if (this.#stopped) return;
        this.#options.logger.warn('the hold device was deleted; making another');
        // If it cannot be made now, housekeeping tries again.
        this.#guarded(() => {
          this.#hold();
        });
      },
    );
    this.#interfaces.holdDevice = this.#datapath.holdDevice;
  }

  /** First packets of related connections go on once connection tracking knows them; the rest is of control connections. */
  #held(frames: readonly Uint8Array[]): void {
    const openers: Uint8Array[] = [];
    const others: Uint8Array[] = [];
    for (const frame of frames) {
      const tuple = readHeldOpener(frame);
      (tuple === null ? others : openers).push(frame);
      const flow = tuple === null ? undefined : this.#datapath.tables.flow(tuple)?.flow;
      if (tuple !== null && flow?.kind === FlowKind.related) this.#relations.opened(tuple, flow.master);
    }
    this.#datapath.release(openers);
    if (others.length > 0) this.#connections.frames(others);
  }

  async #housekeep(): Promise<void> {
    if (this.#datapath.holdDevice === null) this.#hold();
    this.#datapath.beat();
    this.#connections.catchUp();
    this.#backlog.forget(this.#config.idle.closed + SWEEP_MS);
    for (const event of this.#translator.due()) this.#emit(event);
    for (const { item, count } of this.#faults.due())
      this.#options.logger.warn(`${String(count)} more times: ${item.split('\n', 1)[0] ?? ''}`);
    const lost = this.#datapath.takeLost();
    this.#life.lost(lost, Date.now());
    if (lost > 0) this.#emit({ time: new Date().toISOString(), type: 'lost', count: lost });
    if (++this.#rounds % PRUNE_ROUNDS === 0 || lost > 0) await this.#compareWithTables();
    // Their beginnings may be among what was lost.
    if (lost > 0) await this.#connections.adoptAll();
  }

  /** Forgets what the tables no longer have. Those that appear while the tables are read are not judged. */
  async #compareWithTables(): Promise<void> {
    this.#drainEvents();
    const known = this.#connections.known();
    const details = this.#details.known();
    const waiting = this.#backlog.known();
    const { tables } = this.#datapath;
    const [flows, expectations] = await Promise.all([tables.flowIds(), tables.expectationIds()]);
    this.#backlog.prune(waiting, flows);
    this.#connections.prune(known, flows, expectations);
    this.#details.prune(details, flows);
  }

  async #apply(config: Config): Promise<void> {
    const datapath = this.#datapath;
    // What cannot be done changes nothing.
    assertFits(
      portAssignments(
        config.assignments,
        () => 0,
        () => 0,
      ),
    );
    assertGuardsFit(config.guard);
    const flows = await datapath.tables.flows();
    const machines = loadHelpers(config, datapath, flows);
    this.#helpers = machines.helpers;
    const inUse = new Set(flows.map(({ flow }) => flow.assignment));
    const byId = this.#ids.assign(config.assignments, inUse, (id, name) => {
      datapath.nameAssignment(id, name);
    });
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
    for (const [id, assignment] of byId)
      datapath.setPolicy(id, policyRecord(assignment, machines.numbers.get(assignment.helper) ?? 0));
    datapath.setHost({ conntrack: config.related === 'conntrack' });
    datapath.match([...byId].map(([id, { name }]) => ({ id, name })));
    this.#byId = byId;
    this.#config = config;
    this.#discreet = this.#discreetOf(flows);
    this.#connections.reassign();
    datapath.guard(guardRecords(config.guard));
    const idOf = new Map([...byId].map(([id, assignment]) => [assignment, id]));
    this.#interfaces.apply(config, (ifindexOf) => {
      datapath.assign(portAssignments(config.assignments, (assignment) => idOf.get(assignment) ?? 0, ifindexOf));
    });
  }

  /** Those of these flows of whose words nothing is kept. */
  #discreetOf(flows: readonly FlowEntry[]): Set<bigint> {
    const controls = flows.filter(({ flow }) => flow.kind === FlowKind.control && this.#isDiscreet(flow.assignment));
    return new Set(controls.map(({ flow }) => flow.id));
  }

  #isDiscreet(assignment: number): boolean {
    return this.#byId.get(assignment)?.detail !== 'full';
  }

  /** What a sample says is of interest only to people, if the tables have decided about it: it waits until they ask. */
  #sampled(record: RingRecord): void {
    const id = record.sampledFlow;
    this.#read(id, record);
    if (this.#discreet.has(id)) record.erase();
  }

  #read(id: bigint, record: RingRecord): void {
    if (record.reason === DECIDED && (this.#backlog.has(id) || this.#connections.byId(id) !== undefined)) {
      this.#backlog.keep(id, record);
      return;
    }
    this.#backlog.read(id);
    this.#follow(record);
  }

  /** Counted and told at once; what follows from it waits until somebody asks. */
  #happened(record: RingRecord): void {
    const kind = kindOf(record.type);
    switch (kind) {
      case 'controlNew':
        this.#statistics.began('control', this.#ids.name(record.flowAssignment).name);
        if (this.#isDiscreet(record.flowAssignment)) this.#discreet.add(record.flow);
        this.#backlog.keep(record.flow, record);
        break;
      case 'controlEnd':
        this.#discreet.delete(record.flow);
        this.#keep(record.flow, record);
        // Whoever has looked at it once does not keep it beyond its end.
        if (this.#connections.byId(record.flow) !== undefined) this.#backlog.read(record.flow);
        this.#backlog.ended(record.flow);
        break;
      case 'relatedNew':
        this.#statistics.began('related', this.#ids.name(record.flowAssignment).name);
        this.#keep(record.flowMaster, record);
        this.#backlog.relatedBegan(record.flowMaster);
        break;
      case 'relatedEnd':
        this.#backlog.relatedEnded(record.flowMaster);
        break;
      case 'expectationNew':
        this.#statistics.began('expectation', this.#ids.name(record.expectAssignment).name);
        this.#keep(record.expectMaster, record);
        break;
      case 'expectationExpired':
        this.#keep(record.expectMaster, record);
        break;
      case 'trust':
        this.#statistics.distrusted(this.#ids.name(record.flowAssignment).name, reasonOf(record.reason));
        this.#backlog.read(record.flow);
        this.#follow(record);
        break;
      case 'connect': {
        const { tuple, expect } = record.event();
        this.#relations.opened(tuple, expect.master);
        break;
      }
      default:
        this.#follow(record);
    }
    // Refusals are told of by source, with those that were left out: they pass by there whether anybody listens or not.
    if (this.#hub.listened || kind === 'expectationRefused') this.#emit(this.#translator.translate(record.event()));
  }

  /** Keeps a record, or follows it at once where nothing is kept of its connection. */
  #keep(connection: bigint, record: RingRecord): void {
    if (this.#backlog.has(connection)) this.#backlog.keep(connection, record);
    else this.#follow(record);
  }

  /** What a record means for what is known of control connections and flows. In the order in which they happened. */
  #follow(record: RingRecord): void {
    if (record.isSample) {
      this.#connections.sample(record.sample());
      return;
    }
    const kind = kindOf(record.type);
    const { flow, expect, reason, tuple } = record.event();
    switch (kind) {
      case 'controlNew':
        this.#connections.began({ tuple, flow });
        break;
      case 'controlEnd':
        this.#details.remember(flow.id, this.#connections.byId(flow.id)?.box);
        this.#connections.ended(flow.id);
        break;
      case 'trust':
        this.#connections.distrusted(flow.id, reason);
        break;
      case 'unattended':
        this.#connections.attend(tuple);
        break;
      case 'relatedNew':
        this.#details.remember(flow.id, this.#connections.takeBox(flow.expectation));
        break;
      case 'expectationNew':
        this.#connections.expected(expect);
        if (reason === GIVEN_BACK) this.#connections.gaveBack(expect.live, expect.master);
        break;
      case 'expectationExpired':
        this.#connections.takeBox(expect.live);
        break;
      default:
    }
  }

  #emit(event: Event | null): void {
    if (event === null) return;
    this.#statistics.told(event);
    this.#hub.emit(event);
  }

  /** What `up` prints behind "relatd ready". */
  get ready(): string {
    const names = this.#interfaces.watched.map(({ name }) => name);
    const where = names.length === 0 ? 'no interface yet' : names.join(', ');
    const assignments = this.#config.assignments.map(({ name, port }) => `${name} on port ${String(port)}`);
    return `watching ${where} for ${assignments.length === 0 ? 'nothing: no assignment yet' : assignments.join(', ')}`;
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
    return flowsOf(entries, this.#names);
  }

  async expectations(): Promise<Expectation[]> {
    this.#drainEvents();
    const records = await this.#datapath.tables.expectations();
    return expectationsOf(records, this.#names);
  }

  async status(): Promise<Status> {
    const ruleset = await this.#ruleset.warnings(this.#config.mark.mask);
    const flows = await this.flows();
    return daemonStatus({
      datapath: this.#datapath,
      namespace: this.#options.netns ?? 'current',
      config: this.#config,
      flows,
      interfaces: this.#interfaces,
      output: this.#output,
      conntrack: this.#config.related === 'conntrack' ? this.#relations.status : null,
      started: this.#started,
      warnings: [...this.#warnings, ...ruleset],
    });
  }

  async counters(): Promise<Counters> {
    const [flows, expectations] = await Promise.all([this.flows(), this.expectations()]);
    const reasons = this.#datapath.tables.counters();
    return {
      version,
      started: new Date(this.#started).toISOString(),
      reasons,
      assignments: this.#statistics.assignments(this.#config.assignments, flows, expectations),
      interfaces: this.#interfaces.status().map(({ name, watched, problems }) => ({
        name,
        watched,
        problems: problems.length,
      })),
      tables: tableStatus(this.#datapath.tables),
      limits: { perSource: this.#config.limits.perSource },
      losses: lossesOf(reasons),
      hold: holdStatus(this.#datapath.holdDevice, this.#config.hold.unavailable, reasons),
    };
  }

  why(question: WhyQuestion): Promise<Explanation> {
    // One after the other: each takes a copy of the history.
    const answer = this.#answered.then(() => this.#why(question));
    this.#answered = answer.catch(() => undefined);
    return answer;
  }

  async #why(question: WhyQuestion): Promise<Explanation> {
    const { tables } = this.#datapath;
    const evidence = await collectEvidence(question, {
      history: this.#history,
      drain: this.#drainEvents,
      tables,
      names: this.#names,
      assignment: (id) => this.#byId.get(id) ?? null,
      helper: (name) => this.#helpers.get(name) ?? null,
      itself: () => {
        const { since, complete } = this.#history;
        return {
          now: Date.now(),
          ...this.#life.evidence(since === null ? null : bootTimeToMs(since), complete),
          watched: this.#interfaces.watched.map(({ name }) => name),
          assignments: this.#config.assignments,
          guards: this.#config.guard,
        };
      },
    });
    return explain(question, evidence);
  }

  subscribe(listener: (event: Event) => void): () => void {
    return this.#hub.subscribe(listener);
  }

  async reload(): Promise<ReloadResult> {
    const { config, warnings } = await readConfig(this.#options.configPath);
    const before = this.#config;
    // What was said before is judged as it was then.
    this.#drainEvents();
    this.#backlog.readAll();
    await this.#apply(config);
    this.#warnings = warnings;
    const missing = this.#interfaces.missing.map((name) => `interface ${name} is not there yet`);
    return { changed: !sameConfig(before, config), messages: [...laterChanges(before, config), ...missing] };
  }

  /** Stops serving; what is pinned goes on, unless the daemon is ephemeral. */
  stop(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#interfaces.close();
    try {
      this.#datapath.close();
      if (this.#options.ephemeral) Datapath.remove(this.#namespace, true);
      // A first start that failed leaves nothing that was not there before.
      else if (!this.#begun && !this.#datapath.adopted) Datapath.remove(this.#namespace, !this.#datapath.hadMatches);
    } finally {
      this.#namespace.close();
    }
    return Promise.resolve();
  }
}

function lifeOf({ started, before }: Datapath): Life {
  const time = (boot: bigint): number | null => (boot === 0n ? null : bootTimeToMs(boot));
  return new Life(
    bootTimeToMs(started),
    before === null ? null : { stopped: time(before.stopped), alive: time(before.alive) },
  );
}
