// SPDX-License-Identifier: Apache-2.0
import { explainReason, formatBytes, isReason, type ChainProgram, type Status } from '@relatd/model';
import { Headings } from './Headings.js';
import type { Feed } from './feed.js';
import { number } from './text.js';

/** What `relatd status` says: warnings first, then interfaces, assignments, tables, counters. */
export function System({ feed }: { feed: Feed }) {
  const { status } = feed;
  if (status === null) return <p class="empty">Asking the daemon …</p>;
  return (
    <div class="view scroll system" role="region" aria-label="System" tabIndex={0}>
      {status.warnings.map((warning) => (
        <p key={warning} class="notice" role="alert">
          {warning}
        </p>
      ))}
      <Interfaces status={status} />
      <Assignments status={status} />
      <Tables status={status} />
      <CounterList status={status} />
      <p class="soft">
        relatd {status.version}, process {status.pid}, namespace {status.namespace}, Linux {status.kernel} ·{' '}
        <a href="/licenses.md">licences</a> · <a href="/v1/openapi.json">API</a>
      </p>
    </div>
  );
}

const chain = (programs: readonly ChainProgram[]): string =>
  programs.map(({ name, ours }) => (ours ? 'relatd' : name)).join(' → ') || '–';

function Interfaces({ status }: { status: Status }) {
  return (
    <section>
      <h2>Interfaces</h2>
      <table class="plain">
        <Headings titles={['Name', 'Attached', 'Zone', 'Ingress', 'Egress', 'Problems']} />
        <tbody>
          {status.interfaces.map((one) => (
            <tr key={one.name}>
              <td>{one.name}</td>
              <td>
                <span class={one.mode === null ? 'badge bad' : 'badge established'}>{one.mode ?? 'not'}</span>
              </td>
              <td>{one.zone}</td>
              <td class="mono">{chain(one.neighbours.ingress)}</td>
              <td class="mono">{chain(one.neighbours.egress)}</td>
              <td>{one.problems.join('; ') || '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Assignments({ status }: { status: Status }) {
  return (
    <section>
      <h2>Assignments</h2>
      <table class="plain">
        <Headings
          titles={['Name', 'Helper', 'Port', 'Interface', 'From', 'To', 'Mark', 'Control', 'Related']}
          numbers={['Control', 'Related']}
        />
        <tbody>
          {status.assignments.map((one) => (
            <tr key={one.name}>
              <td>{one.name}</td>
              <td>{one.helper}</td>
              <td>
                {one.protocol} {one.port}
              </td>
              <td>{one.interface ?? 'any'}</td>
              <td class="mono">{one.from.join(', ') || 'any'}</td>
              <td class="mono">{one.to.join(', ') || 'any'}</td>
              <td class="mono">{one.mark}</td>
              <td class="right">{number(one.flows.control)}</td>
              <td class="right">{number(one.flows.related)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Tables({ status }: { status: Status }) {
  return (
    <section>
      <h2>Tables</h2>
      <table class="plain">
        <Headings
          titles={['Name', 'Fill', 'Used', 'Size', 'Memory when full']}
          numbers={['Used', 'Size', 'Memory when full']}
        />
        <tbody>
          {status.tables.map(({ name, used, size, bytes }) => (
            <tr key={name}>
              <td>{name}</td>
              <td>
                <meter
                  min={0}
                  max={size}
                  low={0.8 * size}
                  high={0.95 * size}
                  optimum={0}
                  value={used}
                  aria-label={name}
                />
              </td>
              <td class="right">{number(used)}</td>
              <td class="right">{number(size)}</td>
              <td class="right">{formatBytes(bytes)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function CounterList({ status }: { status: Status }) {
  const counted = Object.entries(status.counters).filter(([, count]) => count > 0);
  return (
    <section>
      <h2>Counters</h2>
      {counted.length === 0 ? (
        <p class="soft">Nothing has been counted yet.</p>
      ) : (
        <table class="plain">
          <Headings titles={['Reason', 'Count', 'Meaning']} numbers={['Count']} />
          <tbody>
            {counted.map(([reason, count]) => (
              <tr key={reason}>
                <td>{reason}</td>
                <td class="right">{number(count)}</td>
                <td class="soft">{isReason(reason) ? explainReason(reason) : ''}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
