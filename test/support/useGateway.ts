// SPDX-License-Identifier: Apache-2.0
import { Lab, type LabOptions } from '@relatd/lab';
import { afterAll, beforeAll } from 'vitest';
import { startGateway, type Gateway, type GatewayOptions } from './gateway.js';

/** A lab with a gateway for all tests of a file or a `describe`. */
export interface Site {
  readonly lab: Lab;
  readonly gateway: Gateway;
}

/** Builds both before the first test and removes them after the last, whatever was reached; the function gives them. */
export function useGateway(options: LabOptions = {}, gatewayOptions: GatewayOptions = {}): () => Site {
  let lab: Lab | undefined;
  let gateway: Gateway | undefined;
  beforeAll(async () => {
    lab = await Lab.create(options);
    gateway = await startGateway(lab, gatewayOptions);
  });
  afterAll(async () => {
    try {
      await gateway?.close();
    } finally {
      await lab?.close();
    }
  });
  return () => {
    if (lab === undefined || gateway === undefined) throw new Error('no gateway outside a test');
    return { lab, gateway };
  };
}
