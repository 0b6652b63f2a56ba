// SPDX-License-Identifier: Apache-2.0
export { endpoints, type Endpoint } from './endpoints.js';
export { ListenError, type ListenErrorCode } from './errors.js';
export { listenMetrics, type MetricsServer } from './metricsServer.js';
export { listenApi, type ApiServer, type ApiServerOptions } from './server.js';
export { FakeView } from './fakeView.js';
