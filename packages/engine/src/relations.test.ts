// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { tupleOf, type TupleRecord } from '@relatd/datapath';
import { Relations } from './relations.js';

const master = tupleOf({ sourcePort: 1234, destinationPort: 21 });
const data = tupleOf({ sourcePort: 1235, destinationPort: 40_000 });

function relations(relate: () => 'made' | 'no-master' | 'exists', known: TupleRecord | null = master): Relations {
  return new Relations({ datapath: { relate }, master: (id) => (id === 7n ? known : null) });
}

describe('what connection tracking was told', () => {
  it('is counted, and says nothing where all went well', () => {
    const all = relations(() => 'made');
    all.opened(data, 7n);
    expect(all.status).toEqual({ made: 1, withoutMaster: 0, failed: 0, problems: [] });
  });

  it('names what is missing: the control connection, here or there', () => {
    const unknown = relations(() => 'no-master');
    unknown.opened(data, 7n);
    unknown.opened(data, 8n);
    expect(unknown.status).toMatchObject({ made: 0, withoutMaster: 2, failed: 0 });
    expect(unknown.status.problems).toEqual([expect.stringMatching(/^2 related .* does not know .*notrack/)]);
  });

  it('names what is missing: a permission; the packet goes on in any case', () => {
    const refused = relations(() => {
      throw Object.assign(new Error('no'), { code: 'RELATD_NO_PERMISSION', errno: 1, syscall: 'IPCTNL_MSG_CT_NEW' });
    });
    refused.opened(data, 7n);
    expect(refused.status).toMatchObject({ made: 0, failed: 1 });
    expect(refused.status.problems).toEqual([expect.stringMatching(/^1 related .* needs CAP_NET_ADMIN$/)]);
  });
});
