// SPDX-License-Identifier: Apache-2.0
import { formatDuration } from '@relatd/model';
import type { Feed } from './feed.js';
import { VIEWS, type Place, type View } from './place.js';
import { isDark, type Theme } from './theme.js';

const TITLES: Readonly<Record<View, string>> = {
  sessions: 'Sessions',
  charts: 'Charts',
  events: 'Events',
  system: 'System',
};

interface Properties {
  readonly feed: Feed;
  readonly view: View;
  readonly go: (change: Partial<Place>) => void;
  readonly theme: Theme;
  readonly setTheme: (theme: Theme) => void;
}

/** Name, views, whether the daemon answers, pause and theme. */
export function Header({ feed, view, go, theme, setTheme }: Properties) {
  const { status, connection } = feed;
  const warnings = status?.warnings.length ?? 0;
  const dark = isDark(theme);
  return (
    <header>
      <h1 class="brand">
        <a href="/" aria-label="relatd, to the start">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <rect width="32" height="32" rx="7" fill="#0b5fd0" />
            <path
              d="M8 10h16M8 10c6 0 6 12 12 12h4"
              fill="none"
              stroke="#fff"
              stroke-width="3"
              stroke-linecap="round"
            />
            <circle cx="8" cy="10" r="3" fill="#fff" />
          </svg>
          relatd
        </a>
      </h1>
      <nav aria-label="Views">
        {VIEWS.map((one) => (
          <button
            key={one}
            type="button"
            aria-current={one === view ? 'page' : undefined}
            onClick={() => {
              go({ view: one });
            }}
          >
            {TITLES[one]}
            {one === 'system' && warnings > 0 && <span class="count">{warnings}</span>}
          </button>
        ))}
      </nav>
      <div class="daemon">
        {status !== null && (
          <span class="soft wide">
            {status.namespace} · {status.version} · up {formatDuration(status.uptimeSeconds)}
          </span>
        )}
        <span class={`dot ${feed.paused ? 'paused' : connection.state}`} role="status">
          {feed.paused ? 'paused' : connection.state === 'away' ? `away: ${connection.why}` : connection.state}
        </span>
        <button
          type="button"
          class="icon"
          aria-pressed={feed.paused}
          title={feed.paused ? 'Go on' : 'Pause'}
          aria-label={feed.paused ? 'Go on' : 'Pause'}
          onClick={() => {
            feed.paused = !feed.paused;
          }}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            {feed.paused ? <path d="M4 2.5v11l9-5.5z" /> : <path d="M4 3h3v10H4zM9 3h3v10H9z" />}
          </svg>
        </button>
        <button
          type="button"
          class="icon"
          title={dark ? 'Light' : 'Dark'}
          aria-label={dark ? 'Light theme' : 'Dark theme'}
          onClick={() => {
            setTheme(dark ? 'light' : 'dark');
          }}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            {dark ? (
              <path d="M8 4.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M7.2.5h1.6v2H7.2zM7.2 13.5h1.6v2H7.2zM.5 7.2h2v1.6h-2zM13.5 7.2h2v1.6h-2zM2.1 3.2l1.1-1.1 1.5 1.4-1.2 1.1zM11.3 12.4l1.1-1.1 1.5 1.4-1.2 1.1zM2.1 12.8l1.4-1.5 1.1 1.2-1.4 1.4zM11.4 3.5l1.4-1.4 1.1 1.1-1.4 1.4z" />
            ) : (
              <path d="M6.2 1.6a6.5 6.5 0 1 0 8.2 8.2A5.6 5.6 0 0 1 6.2 1.6" />
            )}
          </svg>
        </button>
      </div>
    </header>
  );
}
