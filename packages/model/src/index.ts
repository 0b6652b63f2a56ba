// SPDX-License-Identifier: Apache-2.0
export * from './address.js';
export * from './endpoint.js';
export * from './engineView.js';
export * from './errors.js';
export * from './event.js';
export * from './expectation.js';
export * from './explanation.js';
export * from './flow.js';
export * from './generated/reasons.js';
export * from './match.js';
export * from './prefix.js';
export * from './reasons.js';
export * from './status.js';
export * from './text.js';
export * from './whyQuery.js';
