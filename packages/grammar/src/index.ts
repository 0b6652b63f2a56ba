// SPDX-License-Identifier: Apache-2.0
export {
  loadDefinition,
  readDefinition,
  type CompileOptions,
  type CompileResult,
  type DefinitionResult,
} from './compile.js';
export { describeHelper } from './describe.js';
export { Interpreter, type Announced, type MachineDirection, type MachineFact } from './interpreter.js';
export {
  MACHINE_LIMITS,
  NO_GROUP,
  NO_REGISTER,
  type AddressKind,
  type Compiled,
  type HelperDefaults,
  type HelperDefinition,
  type Machine,
  type MachineAnnouncement,
  type MachineAnswer,
  type MachineRule,
  type MachineTransition,
  type Stop,
} from './machine.js';
