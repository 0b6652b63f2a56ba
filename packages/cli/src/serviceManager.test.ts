// SPDX-License-Identifier: Apache-2.0
import { expect, test, vi } from 'vitest';
import { ServiceManager } from './serviceManager.js';

function lifeOf(env: Record<string, string>): string[] {
  const told: string[] = [];
  const manager = new ServiceManager(env, (message) => told.push(message));
  manager.ready('watching eth0');
  vi.advanceTimersByTime(10_000);
  manager.reloading();
  manager.ready('watching eth0');
  manager.stopping();
  return told;
}

test('without a service manager nothing is sent, and nothing said', () => {
  vi.useFakeTimers();
  expect(lifeOf({})).toEqual([]);
  expect(lifeOf({ WATCHDOG_USEC: '2000000' })).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('a service manager that is gone is told of once, and ends nothing', () => {
  vi.useFakeTimers();
  const env = { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '2000000' };
  expect(lifeOf(env)).toEqual([expect.stringContaining('cannot tell the service manager at /nowhere/notify')]);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test('signs of life are for the process that they are asked of', () => {
  vi.useFakeTimers();
  const manager = new ServiceManager(
    { NOTIFY_SOCKET: '/nowhere/notify', WATCHDOG_USEC: '2000000', WATCHDOG_PID: '1' },
    () => undefined,
  );
  manager.ready('');
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});
