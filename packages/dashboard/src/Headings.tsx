// SPDX-License-Identifier: Apache-2.0

/** The head of a plain table; columns of `numbers` stand at the right. */
export function Headings({ titles, numbers = [] }: { titles: readonly string[]; numbers?: readonly string[] }) {
  return (
    <thead>
      <tr>
        {titles.map((title) => (
          <th key={title} scope="col" class={numbers.includes(title) ? 'right' : undefined}>
            {title}
          </th>
        ))}
      </tr>
    </thead>
  );
}
