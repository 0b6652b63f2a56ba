// SPDX-License-Identifier: Apache-2.0

/** The typed face of the addon and of the BPF object: nothing else touches them. */
export { assertFits, type PortAssignments } from './assignmentBanks.js';
export { mappedIPv4, viewOf } from './bytes.js';
export { attachedMode, chainPrograms, type HookProgram } from './chain.js';
export { Datapath, type AttachSettings, type RecordSink, type Settings, type Sizes } from './datapath.js';
export { readHeldFrame, readHeldOpener, TCP_FLAG, type TcpFrame } from './frame.js';
export type { InterfaceEntry } from './interfaceTable.js';
export { machineBytes } from './machine.js';
export { matchDirectory, pinMatches, type MatchedAssignment } from './matches.js';
export { LayoutError, connectsAttached } from './pinnedState.js';
export { pinDirectory } from './pins.js';
export { requestOf, type RequestAnswer } from './requests.js';
export {
  RingRecord,
  eachRecord,
  eventBatch,
  recordMemory,
  sampleBatch,
  type RecordBatch,
  type RecordMemory,
} from './ringRecord.js';
export { inSlices } from './slices.js';
export { Tables, type AssignmentName, type FlowEntry, type PinnedAssignment, type TableFill } from './tables.js';
export { reverseTuple, sortTuple, tupleBytes, tupleId, tupleOf } from './tuple.js';
export {
  DialogueFlag,
  Direction,
  EventType,
  ExpectFlag,
  FlowFlag,
  FlowKind,
  FlowState,
  HoldPolicy,
  Hook,
  InterfaceFlag,
  Limit,
  RequestOp,
  StreamFlag,
  SynFlag,
  UntrackedWhy,
  zeroEvent,
  zeroSample,
  type AssignmentRecord,
  type EventRecord,
  type ExpectRecord,
  type FlowRecord,
  type GuardRecord,
  type InterfaceKeyRecord,
  type InterfaceRecord,
  type PolicyRecord,
  type RequestRecord,
  type SampleRecord,
  type StreamRecord,
  type SynRecord,
  type TupleRecord,
  type UntrackedRecord,
} from './generated/layout.js';
export {
  Namespace,
  boottimeNs,
  checkSystem,
  isNativeError,
  monotonicNs,
  notify,
  type Interface,
  type Related,
} from '@relatd/native';
