// SPDX-License-Identifier: Apache-2.0
export { DEFAULT_SOCKET, RelatdClient, type ClientOptions } from './client.js';
export { ApiError, errnoOf, messageOf, type ApiErrorCode, type ErrorAnswer } from './errors.js';
export { matches, matchesEvent, type EventFilter, type Filter, type ListFilter } from './filter.js';
