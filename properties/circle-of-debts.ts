/**
 * Which circle of debts a verdict rests on, whatever the names in it: findings of one property are grouped by it.
 *
 * A circle has no beginning, and of two processes or buffers that differ in their number only it does not matter which
 * one it is. So the circle is told from each of its debts, numbered names by first appearance, and the least text counts.
 */
import type { Blame } from './property.ts';

/** Names with a number at their end, `bo1` or `user0`, by first appearance: `bo#0`, `user#0`. */
export function byFirstAppearance(): (text: string) => string {
  const names = new Map<string, string>();
  const stems = new Map<string, number>();
  return (text) =>
    text.replace(/([A-Za-z_]+)(\d+)\b/g, (name, stem: string) => {
      const known = names.get(name);
      if (known !== undefined) return known;
      const nth = stems.get(stem) ?? 0;
      stems.set(stem, nth + 1);
      const fresh = `${stem}#${nth}`;
      names.set(name, fresh);
      return fresh;
    });
}

/** `ioctl waits for job > worker waits for lock`, from the debt that makes it the least; '' without debts. */
export function circleOf({ links }: Pick<Blame, 'links'>): string {
  const texts = links.map(({ who, wait }) => `${who} waits for ${wait.object}`);
  return texts
    .map((_, at) => byFirstAppearance()([...texts.slice(at), ...texts.slice(0, at)].join(' > ')))
    .reduce((least, each) => (least === '' || each < least ? each : least), '');
}

/** The group of a finding: property, kind and circle of debts. */
export const groupOf = (blame: Pick<Blame, 'property' | 'kind' | 'links'>): string => {
  const circle = circleOf(blame);
  return `${blame.property} (${blame.kind})${circle === '' ? '' : `: ${circle}`}`;
};
