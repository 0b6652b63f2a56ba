// SPDX-License-Identifier: Apache-2.0
import type { Assignment } from '@relatd/config';
import {
  ExpectFlag,
  FlowFlag,
  FlowKind,
  FlowState,
  SynFlag,
  UntrackedWhy,
  inSlices,
  monotonicNs,
  type EventRecord,
  type ExpectRecord,
  type FlowRecord,
  type RingRecord,
  type SynRecord,
  type Tables,
  type TupleRecord,
  type UntrackedRecord,
} from '@relatd/datapath';
import type { Helper } from '@relatd/helpers';
import { REASONS, formatMark, parseAddress, reasonOf, type Endpoint, type WhyQuestion } from '@relatd/model';
import {
  bootTimeToMs,
  destinationOf,
  openerTuple,
  patternDestination,
  patternSource,
  protocolOf,
  sourceOf,
  type Names,
} from '../convert.js';
import { kindOf } from '../eventTranslator.js';
import { Dialogue } from './dialogue.js';
import type {
  ControlEvidence,
  Evidence,
  ExpectationEvidence,
  RefusalEvidence,
  RelatedEvidence,
  Said,
  StoppedEvidence,
  SynEvidence,
  UntrackedEvidence,
} from './evidence.js';
import type { History, Snapshot } from './history.js';

/** Control connections whose samples are read once more for one question, and how many of each: held packets wait meanwhile. */
const READ_AGAIN = 32;
const SAMPLES = 2000;
const GIVEN_BACK = REASONS.indexOf('given-back');

/** Where evidence comes from. */
export interface Sources {
  /** Null: no daemon runs. */
  readonly history: History | null;
  /** Reads what the ring has into the history. */
  drain(): void;
  readonly tables: Pick<Tables, 'flows' | 'expectations' | 'syns' | 'untracked' | 'interfaces'>;
  readonly names: Names;
  /** An assignment by its number; null: it is no longer configured, or it is not known. */
  assignment(id: number): Assignment | null;
  helper(name: string): Helper | null;
  /** What relatd knows of itself now. */
  itself(): Pick<
    Evidence,
    'now' | 'started' | 'loaded' | 'since' | 'away' | 'lost' | 'watched' | 'assignments' | 'guards'
  >;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

interface Control {
  evidence: Mutable<ControlEvidence>;
  readonly tuple: TupleRecord;
  readonly flow: FlowRecord;
  /** The event of its beginning is in the history. */
  readonly fromTheBeginning: boolean;
}

/** Reads everything that may have to do with a question: of its addresses, and of the masters of what was expected of them. */
export async function collectEvidence(question: WhyQuestion, sources: Sources): Promise<Evidence> {
  const { tables } = sources;
  const [flows, expectations, syns, untracked] = await Promise.all([
    tables.flows(),
    tables.expectations(),
    tables.syns(),
    tables.untracked(),
  ]);
  sources.drain();
  const collection = new Collection(question, sources);
  await collection.readHistory();
  for (const entry of flows)
    if (entry.flow.id !== 0n && entry.flow.state !== FlowState.claiming)
      collection.flow(openerTuple(entry), entry.flow);
  for (const expect of expectations) collection.expectation(expect);
  collection.notes(syns, untracked);
  return collection.evidence();
}

class Collection {
  readonly #sources: Sources;
  readonly #itself: ReturnType<Sources['itself']>;
  readonly #addresses: readonly string[];
  readonly #words: readonly Uint32Array[];
  readonly #snapshot: Snapshot | null;
  /** By control connection: which records of the snapshot are its samples. */
  readonly #samples = new Map<bigint, number[]>();
  readonly #controls = new Map<bigint, Control>();
  readonly #expectations = new Map<bigint, Mutable<ExpectationEvidence>>();
  readonly #related = new Map<bigint, Mutable<RelatedEvidence>>();
  readonly #refusals: RefusalEvidence[] = [];
  readonly #guarded: StoppedEvidence[] = [];
  readonly #full: StoppedEvidence[] = [];
  readonly #said = new Map<string, readonly Said[]>();
  /** Control connections of what concerns the addresses. */
  readonly #masters = new Set<bigint>();
  #syns: SynEvidence[] = [];
  #untracked: UntrackedEvidence[] = [];

  constructor({ source, destination }: WhyQuestion, sources: Sources) {
    this.#sources = sources;
    this.#itself = sources.itself();
    this.#snapshot = sources.history?.snapshot() ?? null;
    this.#addresses = [destination.address, ...(source === null ? [] : [source.address])];
    this.#words = this.#addresses.map((address) => {
      const bytes = Uint8Array.from(parseAddress(address) ?? new Uint8Array(16));
      return new Uint32Array(bytes.buffer);
    });
  }

  /** Twice: what was expected may say that a control connection of others matters, whose beginning stands further ahead. */
  async readHistory(): Promise<void> {
    await this.#each((record, index) => {
      if (record.isSample) {
        const own = this.#samples.get(record.sampledFlow);
        if (own === undefined) this.#samples.set(record.sampledFlow, [index]);
        else own.push(index);
      } else if (this.#words.some((words) => record.hasAddress(words))) this.#event(record.event());
    });
    const others = new Set([...this.#masters].filter((id) => !this.#controls.has(id)));
    if (others.size === 0) return;
    await this.#each((record) => {
      const kind = record.isSample ? undefined : kindOf(record.type);
      if ((kind === 'controlNew' || kind === 'controlEnd' || kind === 'trust') && others.has(record.flow))
        this.#event(record.event());
    });
  }

  async #each(look: (record: RingRecord, index: number) => void): Promise<void> {
    const snapshot = this.#snapshot;
    if (snapshot === null) return;
    const record = snapshot.record();
    await inSlices(snapshot.size, (index) => {
      snapshot.place(index, record);
      look(record, index);
    });
  }

  #event(event: EventRecord): void {
    const { flow, expect, tuple } = event;
    const time = bootTimeToMs(event.time);
    const reason = reasonOf(event.reason);
    switch (kindOf(event.type)) {
      case 'controlNew':
        this.#control(tuple, flow, true);
        return;
      case 'controlEnd':
        this.#control(tuple, flow, false).evidence.ended = { time, reason };
        return;
      case 'trust':
        this.#control(tuple, flow, false).evidence.distrusted = { time, reason };
        return;
      case 'relatedNew':
        this.#relatedFlow(tuple, flow);
        return;
      case 'relatedEnd':
        this.#relatedFlow(tuple, flow).ended = { time, reason };
        return;
      case 'expectationNew':
        this.#expected(expect).givenBack = event.reason === GIVEN_BACK;
        return;
      case 'expectationExpired':
        this.#expected(expect).ended = { time, reason };
        return;
      case 'expectationRefused':
        this.#masters.add(expect.master);
        this.#refusals.push({
          ...{ time, reason, master: expect.master.toString(), zone: tuple.zone, protocol: protocolOf(tuple) },
          assignment: this.#sources.names.assignment(expect.assignment).name,
          source: patternSource(tuple),
          destination: patternDestination(tuple),
        });
        return;
      case 'guardDrop':
        this.#guarded.push({ ...pathOf(tuple), time, reason });
        return;
      case 'tableFull':
        this.#full.push({ ...pathOf(tuple), time, reason });
        return;
      default:
    }
  }

  /** A flow of the table. */
  flow(tuple: TupleRecord, flow: FlowRecord): void {
    const isKnown = flow.kind === FlowKind.control ? this.#controls.has(flow.id) : this.#related.has(flow.id);
    if (isKnown) {
      const known = this.#related.get(flow.id);
      if (known !== undefined) known.detail = this.#sources.names.detail(flow);
      return;
    }
    const { source, destination } = pathOf(tuple);
    const concerns = [source, destination].some(({ address }) => this.#addresses.includes(address));
    if (!concerns && !this.#masters.has(flow.id)) return;
    // Its end is not in the history: about when its last packet came.
    const last = this.#itself.now - Number(monotonicNs() - flow.last) / 1e6;
    const ended = flow.ended === 0 ? null : { time: last, reason: 'none' as const };
    if (flow.kind === FlowKind.control) this.#control(tuple, flow, false).evidence.ended = ended;
    else {
      const related = this.#relatedFlow(tuple, flow);
      related.ended = ended;
      related.detail = this.#sources.names.detail(flow);
    }
  }

  /** A live expectation of the table. */
  expectation(expect: ExpectRecord): void {
    const address = patternDestination(expect.tuple).address;
    if (address === null || this.#addresses.includes(address)) this.#expected(expect);
  }

  notes(syns: readonly SynRecord[], untracked: readonly UntrackedRecord[]): void {
    const { names, tables } = this.#sources;
    const interfaces = tables.interfaces();
    const concerns = ({ source, destination }: { source: Endpoint; destination: Endpoint }): boolean =>
      this.#addresses.includes(destination.address) || this.#addresses.includes(source.address);
    this.#syns = syns
      .map((syn): SynEvidence => {
        const known =
          interfaces.get(`${String(syn.ifindex)}/${String(syn.vlan)}`) ?? interfaces.get(`${String(syn.ifindex)}/0`);
        const time = bootTimeToMs(syn.time);
        return {
          ...pathOf(syn.tuple),
          ...{ time, last: time + syn.last, count: syn.count, seq: syn.seq },
          zone: known?.zone ?? 0,
          interface: names.interface(known?.routing ?? syn.ifindex),
          fromHere: (syn.flags & SynFlag.fromHere) !== 0,
          left: (syn.flags & SynFlag.left) !== 0,
        };
      })
      .filter(concerns)
      .sort((a, b) => a.time - b.time);
    this.#untracked = untracked
      .map((note): UntrackedEvidence => {
        const time = bootTimeToMs(note.time);
        return {
          ...pathOf(note.tuple),
          ...{ time, last: time + note.last, reason: reasonOf(note.reason) },
          why: WHY[note.why] ?? 'unseen',
          interface: note.ifindex === 0 ? null : names.interface(note.ifindex),
        };
      })
      .filter(concerns);
  }

  evidence(): Evidence {
    return {
      ...this.#itself,
      controls: [...this.#controls.values()].map(({ evidence }) => evidence),
      expectations: [...this.#expectations.values()],
      related: [...this.#related.values()],
      ...{ refusals: this.#refusals, guarded: this.#guarded, full: this.#full },
      ...{ syns: this.#syns, untracked: this.#untracked },
      said: (master) => this.#saidBy(master),
    };
  }

  #control(tuple: TupleRecord, flow: FlowRecord, fromTheBeginning: boolean): Control {
    const known = this.#controls.get(flow.id);
    if (known !== undefined) return known;
    const began = bootTimeToMs(flow.created);
    const control: Control = {
      ...{ tuple, flow, fromTheBeginning },
      evidence: {
        ...pathOf(tuple),
        ...{ id: flow.id.toString(), began, ended: null, interface: this.#interface(flow) },
        assignment: this.#sources.names.assignment(flow.assignment).name,
        distrusted: flow.trust === 0 ? null : { time: fromTheBeginning ? began : null, reason: reasonOf(flow.trust) },
      },
    };
    this.#controls.set(flow.id, control);
    return control;
  }

  #interface(flow: FlowRecord): string {
    return this.#sources.names.interface((flow.side[0]?.owner ?? 0) >>> 1);
  }

  #relatedFlow(tuple: TupleRecord, flow: FlowRecord): Mutable<RelatedEvidence> {
    const known = this.#related.get(flow.id);
    if (known !== undefined) return known;
    this.#masters.add(flow.master);
    const began = bootTimeToMs(flow.created);
    const related: Mutable<RelatedEvidence> = {
      ...pathOf(tuple),
      ...{ id: flow.id.toString(), master: flow.master.toString(), expectation: flow.expectation.toString() },
      ...{
        began,
        ended: null,
        mark: formatMark(flow.mark),
        interface: this.#interface(flow),
        isn: flow.isn,
        detail: null,
      },
      assignment: this.#sources.names.assignment(flow.assignment).name,
    };
    this.#related.set(flow.id, related);
    const expectation = this.#expectations.get(flow.expectation);
    if (expectation !== undefined && (flow.expectFlags & ExpectFlag.permanent) === 0) {
      expectation.usedBy = related.id;
      expectation.ended = { time: began, reason: 'matched' };
    }
    return related;
  }

  #expected(expect: ExpectRecord): Mutable<ExpectationEvidence> {
    const known = this.#expectations.get(expect.live);
    const deadline = expect.deadline === 0n ? null : bootTimeToMs(expect.deadline);
    if (known !== undefined) {
      // The same announcement again puts it off.
      known.deadline = deadline;
      return known;
    }
    this.#masters.add(expect.master);
    const expectation: Mutable<ExpectationEvidence> = {
      ...{ id: expect.live.toString(), master: expect.master.toString(), zone: expect.tuple.zone },
      assignment: this.#sources.names.assignment(expect.assignment).name,
      protocol: protocolOf(expect.tuple),
      source: patternSource(expect.tuple),
      destination: patternDestination(expect.tuple),
      ...{ created: bootTimeToMs(expect.created), deadline, ended: null, usedBy: null },
      givenBack: (expect.flags & ExpectFlag.givenBack) !== 0,
    };
    this.#expectations.set(expect.live, expectation);
    return expectation;
  }

  #saidBy(master: string): readonly Said[] {
    const known = this.#said.get(master);
    if (known !== undefined) return known;
    const said = this.#said.size < READ_AGAIN ? this.#readAgain(BigInt(master)) : [];
    this.#said.set(master, said);
    return said;
  }

  #readAgain(id: bigint): readonly Said[] {
    const control = this.#controls.get(id);
    const assignment = control === undefined ? null : this.#sources.assignment(control.flow.assignment);
    const helper = assignment === null ? null : this.#sources.helper(assignment.helper);
    if (control === undefined || assignment === null || helper === null) return [];
    const { tuple, flow, fromTheBeginning } = control;
    const [original, reply] = flow.side;
    const samples = this.#samples.get(id) ?? [];
    const begins =
      fromTheBeginning && samples.length <= SAMPLES ? { original: original?.next ?? 0, reply: reply?.next ?? 0 } : null;
    const translated = (flow.flags & FlowFlag.translated) !== 0;
    const dialogue = new Dialogue({ tuple, translated, assignment, helper, begins }, bootTimeToMs);
    const record = this.#snapshot?.record();
    for (const index of samples.slice(-SAMPLES)) {
      if (record === undefined) break;
      this.#snapshot?.place(index, record);
      dialogue.sample(record.sample());
    }
    dialogue.finish();
    return dialogue.said;
  }
}

const WHY: Readonly<Record<number, UntrackedEvidence['why']>> = {
  [UntrackedWhy.notCovered]: 'not-covered',
  [UntrackedWhy.unseen]: 'unseen',
  [UntrackedWhy.limit]: 'limit',
};

const pathOf = (tuple: TupleRecord): Pick<ControlEvidence, 'protocol' | 'source' | 'destination' | 'zone'> => ({
  protocol: protocolOf(tuple),
  source: sourceOf(tuple),
  destination: destinationOf(tuple),
  zone: tuple.zone,
});
