// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { formatExplanation, formatLocalTime, type Explanation } from './explanation.js';

describe('an explanation', () => {
  it('has times of this place', () => {
    const iso = '2026-11-22T12:00:00.123Z';
    const local = formatLocalTime(iso);
    expect(local).toMatch(/^2026-11-2\dT\d\d:\d\d:00\.123[+-]\d\d:\d\d$/);
    expect(new Date(local).toISOString()).toBe(iso);
  });

  it('is lines for people, safe to show', () => {
    const explanation: Explanation = {
      ...{ source: null, destination: { address: '2001:db8::2', port: 40001 }, related: false, answer: 'not-seen' },
      sentence: 'Not RELATED: \u001b[2Jno SYN.',
      facts: [{ time: null, text: 'the server said "\u202e227"' }],
      historySince: null,
    };
    expect(formatExplanation(explanation)).toBe(
      ['* > [2001:db8::2]:40001', 'Not RELATED: \\x1b[2Jno SYN.', '    the server said "\\u{202e}227"'].join('\n'),
    );
    expect(formatExplanation({ ...explanation, facts: [] }).split('\n')).toHaveLength(2);
  });
});
