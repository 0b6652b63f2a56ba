// SPDX-License-Identifier: Apache-2.0

/** The addon between Node and libbpf: no protocol knowledge, no policy. */
export { isNativeError, nativeErrorCodes, type NativeError, type NativeErrorCode } from './errors.js';
export { Namespace, type Interface, type InterfaceWatch } from './namespace.js';
export { BpfObject, type KeptMap, type ObjectOptions } from './object.js';
export { Conntrack, type Related } from './conntrack.js';
export { pinMatch } from './match.js';
export { BpfMap, type MapEntries, type MapInfo, type UpdateFlags } from './map.js';
export { BpfProgram, skbField, type ProgramInfo, type TestResult, type TestRun } from './program.js';
export {
  attach,
  attachCgroup,
  detach,
  linkInterface,
  query,
  type Attachment,
  type AttachMode,
  type AttachOptions,
  type CgroupHook,
  type Chain,
  type ChainProgram,
  type DetachOptions,
  type Hook,
  type Side,
} from './attach.js';
export { EventRing, recordHeader, records, type RingOptions } from './ring.js';
export { HoldDevice, type HoldCounters, type HoldOptions } from './hold.js';
export { notify } from './notify.js';
export {
  boottimeNs,
  checkSystem,
  lockDirectory,
  monotonicNs,
  mountBpffs,
  removePins,
  type Lock,
  type SystemCheck,
} from './system.js';
