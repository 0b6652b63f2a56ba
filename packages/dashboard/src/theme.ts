// SPDX-License-Identifier: Apache-2.0

/** `auto` follows what the system prefers. */
export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'relatd-theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

export function storedTheme(): Theme {
  const stored = localStorage.getItem(KEY);
  return stored === 'light' || stored === 'dark' ? stored : 'auto';
}

export function applyTheme(theme: Theme): void {
  if (theme === 'auto') localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, theme);
  document.documentElement.dataset['theme'] = theme;
}

/** Whether the page is dark with this theme. */
export function isDark(theme: Theme): boolean {
  return theme === 'auto' ? dark.matches : theme === 'dark';
}

/** Calls `listener` when the system's preference changes. */
export function onPreference(listener: () => void): () => void {
  dark.addEventListener('change', listener);
  return () => {
    dark.removeEventListener('change', listener);
  };
}
