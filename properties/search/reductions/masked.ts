/**
 * What a reduced search may have passed over among circles of debts.
 *
 * It sees every circle, but perhaps only in a state in which threads outside of the circle wait already that could
 * still move where the full search sees it first. A property names one circle of a state; so it is asked again with
 * some of the blocked threads taken for gone. An answer of a new sort is no finding, for no such state is known: it is
 * a reason to search in full.
 */
import type { Open } from '../../../model/machine.ts';
import { type Blame, type Opens, signature } from '../../property.ts';

/** Blocked threads up to which all their subsets are asked. */
const MOST_BLOCKED = 10;
const GONE: Open = { kind: 'finished' };

/**
 * The signatures of what is said when some of the blocked threads are gone.
 * @returns nothing when there are too many of them to ask
 */
export function saidWithout(opens: Opens, judge: (opens: Opens) => Blame | undefined): Set<string> | undefined {
  const blocked = Object.keys(opens).filter((thread) => opens[thread]?.kind === 'blocked');
  if (blocked.length > MOST_BLOCKED) return undefined;
  const said = new Set<string>();
  for (let gone = 1; gone < 1 << blocked.length; gone += 1) {
    const masked = Object.fromEntries(
      Object.entries(opens).map(([thread, open]) => {
        const at = blocked.indexOf(thread);
        return [thread, at >= 0 && (gone >> at) & 1 ? GONE : open];
      }),
    );
    const blame = judge(masked);
    if (blame) said.add(signature(blame));
  }
  return said;
}
