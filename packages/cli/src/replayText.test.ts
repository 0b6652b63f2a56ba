// SPDX-License-Identifier: Apache-2.0
import { expect, test } from 'vitest';
import { replayLines } from './replayText.js';

test('what has to be known of a capture is said, a sentence a line', () => {
  const lines = replayLines({
    packets: 1200,
    from: '2026-11-22T12:00:00.000Z',
    to: '2026-11-22T13:00:00.000Z',
    reasons: new Map([
      ['not-ip', 7],
      ['malformed', 2],
      ['extension-headers', 1],
      ['truncated', 4],
      ['fragment', 1],
      ['bad-ack', 5],
      ['handshake', 6],
    ]),
    unknownLinks: new Map([[127, 1]]),
    control: 3,
    expectations: 2,
    related: 1,
    refused: new Map([
      ['address', 2],
      ['port-range', 1],
    ]),
    distrusted: new Map([['gap', 1]]),
    open: { control: 1, expectations: 0, related: 2 },
    unfollowed: { alreadyOpen: 2, incomplete: 1 },
    early: 1,
    guessedInterface: true,
    faults: ['Error: this'],
  });
  expect(lines).toMatchInlineSnapshot(`
    [
      "1200 packets read, from 2026-11-22T12:00:00.000Z to 2026-11-22T13:00:00.000Z: 3 unreadable, 4 truncated, 1 fragment",
      "3 control connections, 2 expectations, 1 related flow; 3 announcements refused (address 2, port-range 1)",
      "1 control connection not read to the end (gap 1)",
      "still open at the end of the capture: 1 control connection, 2 related flows",
      "2 connections to assigned ports were already open when the capture began: not followed",
      "of 1 connection to assigned ports the capture lacks a part of the handshake: not followed",
      "packets that were passed over, by reason: bad-ack 5, handshake 6",
      "1 packet came after later ones: taken at the time of those; \`reordercap\` sorts a capture",
      "the capture does not say by which interface packets came: an assignment with \`interface\` was taken for any",
      "1 packet of link type 127 cannot be read: Ethernet, Linux cooked, raw IP, null and loop can",
      "a fault of relatd, please report it: Error: this",
    ]
  `);
});

test('of an empty one there is little to say', () => {
  const nothing = { control: 0, expectations: 0, related: 0 };
  const none = { reasons: new Map(), unknownLinks: new Map(), refused: new Map(), distrusted: new Map() };
  const summary = { ...{ packets: 0, from: null, to: null, early: 0, guessedInterface: false, faults: [] }, ...none };
  expect(replayLines({ ...summary, ...nothing, open: nothing, unfollowed: { alreadyOpen: 0, incomplete: 0 } })).toEqual(
    [
      '0 packets read: 0 unreadable, 0 truncated, 0 fragments',
      '0 control connections, 0 expectations, 0 related flows; nothing refused',
    ],
  );
});
