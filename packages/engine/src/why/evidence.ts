// SPDX-License-Identifier: Apache-2.0
import type { Assignment, Guard } from '@relatd/config';
import type { Endpoint, EndpointPattern, FlowDetail, Protocol, Reason } from '@relatd/model';

/** All times are milliseconds since 1970, with fractions. */
export type Time = number;

/** How something ended. */
export interface End {
  readonly time: Time;
  readonly reason: Reason;
}

interface Path {
  readonly protocol: Protocol;
  readonly source: Endpoint;
  readonly destination: Endpoint;
  readonly zone: number;
}

/** A control connection. */
export interface ControlEvidence extends Path {
  readonly id: string;
  readonly assignment: string;
  readonly began: Time;
  /** Null: it lives. */
  readonly ended: End | null;
  /** Since when and why it is no longer parsed; the time is null where its event is not in the history. */
  readonly distrusted: { readonly time: Time | null; readonly reason: Reason } | null;
  /** By which it was first seen. */
  readonly interface: string;
}

/** A data connection that was or is expected. */
export interface ExpectationEvidence {
  readonly id: string;
  readonly master: string;
  readonly assignment: string;
  readonly protocol: Protocol;
  readonly source: EndpointPattern;
  readonly destination: EndpointPattern;
  readonly zone: number;
  readonly created: Time;
  /** Null: it ends with its master. */
  readonly deadline: Time | null;
  /** Null: it can still be matched. */
  readonly ended: End | null;
  /** Id of the related flow that matched it. */
  readonly usedBy: string | null;
  /** It counts again after a connection that did not come about. */
  readonly givenBack: boolean;
}

/** An announcement that was turned down. */
export interface RefusalEvidence {
  readonly time: Time;
  readonly reason: Reason;
  readonly master: string;
  readonly assignment: string;
  readonly protocol: Protocol;
  readonly source: EndpointPattern;
  readonly destination: EndpointPattern;
  readonly zone: number;
}

/** A related flow. */
export interface RelatedEvidence extends Path {
  readonly id: string;
  readonly master: string;
  readonly expectation: string;
  readonly assignment: string;
  readonly began: Time;
  readonly ended: End | null;
  /** `0x52000000`. */
  readonly mark: string;
  readonly interface: string;
  /** Sequence number of its SYN. */
  readonly isn: number;
  readonly detail: FlowDetail | null;
}

/** A SYN that was seen. */
export interface SynEvidence extends Path {
  readonly time: Time;
  /** Of the last retransmission. */
  readonly last: Time;
  readonly count: number;
  readonly seq: number;
  readonly interface: string;
  /** First seen on its way out: opened here, or it came in by an interface that is not watched. */
  readonly fromHere: boolean;
  /** Seen coming in, then going out. */
  readonly left: boolean;
}

/** A connection to an assigned port that is no control connection. */
export interface UntrackedEvidence extends Path {
  readonly time: Time;
  readonly last: Time;
  readonly why: 'not-covered' | 'unseen' | 'limit';
  readonly reason: Reason;
  /** By which it entered, as routing names it; null: not known. */
  readonly interface: string | null;
}

/** A packet that a guard dropped, or that found a table full. */
export interface StoppedEvidence extends Path {
  readonly time: Time;
  readonly reason: Reason;
}

/** What a control connection said. */
export interface Said {
  readonly time: Time;
  readonly kind: 'announce' | 'refuse';
  readonly direction: 'original' | 'reply';
  /** Empty: the assignment's `detail` does not let it be shown. */
  readonly line: string;
  /** Null: it could not be read. */
  readonly destination: Endpoint | null;
  /** Why it was refused; null: it was not. */
  readonly reason: Reason | null;
  readonly detail: FlowDetail | null;
  /** It went on while nobody was there to judge it. */
  readonly unjudged: boolean;
}

/** What an assignment covers, and admits. */
export interface AssignmentEvidence extends Pick<
  Assignment,
  'name' | 'protocol' | 'port' | 'interface' | 'from' | 'to'
> {
  readonly data: Pick<Assignment['data'], 'ports' | 'thirdParty'> | null;
}

/** A time in which something was not known. Null: since when is not known. */
export interface Span {
  readonly from: Time | null;
  readonly to: Time;
}

/** All that is known of two addresses, and of relatd itself. */
export interface Evidence {
  readonly now: Time;
  /** When this daemon started; null: none runs, and there is no history. */
  readonly started: Time | null;
  /** The first time that relatd was loaded, as far as is known; null: before `started`, nobody knows when. */
  readonly loaded: Time | null;
  /** How far back the history reaches. */
  readonly since: Time | null;
  /** When no daemon ran, the latest last. */
  readonly away: readonly Span[];
  /** When events were lost. */
  readonly lost: readonly (Span & { readonly count: number })[];
  readonly watched: readonly string[];
  readonly assignments: readonly AssignmentEvidence[];
  readonly guards: readonly Guard[];
  readonly controls: readonly ControlEvidence[];
  readonly expectations: readonly ExpectationEvidence[];
  readonly refusals: readonly RefusalEvidence[];
  readonly related: readonly RelatedEvidence[];
  readonly syns: readonly SynEvidence[];
  readonly untracked: readonly UntrackedEvidence[];
  readonly guarded: readonly StoppedEvidence[];
  readonly full: readonly StoppedEvidence[];
  /** What a control connection said, in order; read when it is asked for. */
  said(master: string): readonly Said[];
}
