// SPDX-License-Identifier: Apache-2.0
import { binding } from './binding.js';

/**
 * Sends a service manager one message (sd_notify(3): lines like `READY=1`). `address` is what it gave in
 * `$NOTIFY_SOCKET`: a path, or a name behind `@`. Does not wait.
 * @throws RELATD_ARGUMENT (no such address), RELATD_NOT_FOUND, RELATD_BUSY and others where nobody takes it
 */
export function notify(address: string, message: string): void {
  binding.notify(address, message);
}
