// SPDX-License-Identifier: Apache-2.0
export * as fields from './field.js';
export type { Field, Listen, Report } from './field.js';
export { Findings } from './findings.js';
export { formatKeyPath, formatProblem, nearest, show, type Problem } from './problem.js';
export { readSource, type Position, type Source, type SourceError } from './source.js';
export { readTextFile } from './textFile.js';
