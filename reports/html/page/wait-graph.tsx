/**
 * Who waits for whom, drawn: an arrow from each thread that waits to each that owes it something, named for what is
 * waited for. What waits for each other for ever is drawn in the colour of the verdict.
 */
import { useMemo } from 'preact/hooks';
import { stuck } from '../../../properties/no-deadlock.ts';
import type { Link, Opens } from '../../../properties/property.ts';
import { waitText } from '../../shown.ts';
import { Diagram } from './diagram.tsx';

const STATES = { ready: 'can move', blocked: 'waits', idle: 'has nothing to do', finished: 'has ended' } as const;

export function WaitGraph({ opens }: { readonly opens: Opens }) {
  const { waits, boxes, arrows, forEver } = useMemo(() => drawnFrom(opens), [opens]);
  if (waits.length === 0) return <p class="quiet">Nobody waits.</p>;
  const says = waits.map(({ who, wait }) => `${who} for ${wait.owedBy.join(', ') || 'nobody'}`).join('; ');
  return (
    <>
      <Diagram says={`${waits.length} waiting: ${says}`} boxes={boxes} arrows={arrows} />
      <ul class="waits-list">
        {waits.map(({ who, wait }) => (
          <li key={who} class={forEver.has(who) ? 'for-ever' : ''}>
            {waitText(who, wait)}
          </li>
        ))}
      </ul>
    </>
  );
}

function drawnFrom(opens: Opens) {
  const forEver = stuck(opens);
  const waits = Object.entries(opens).flatMap(([who, open]): Link[] =>
    open.kind === 'blocked' ? [{ who, wait: open.wait }] : [],
  );
  const names = [...new Set(waits.flatMap(({ who, wait }) => [who, ...wait.owedBy]))];
  const boxes = names.map((name) => {
    const kind = opens[name]?.kind ?? 'finished';
    return { name, note: STATES[kind], look: `${kind} ${forEver.has(name) ? 'for-ever' : ''}` };
  });
  const arrows = waits.flatMap(({ who, wait }) =>
    wait.owedBy.map((debtor) => ({
      ...{ from: who, to: debtor, label: wait.object },
      forEver: forEver.has(who) && forEver.has(debtor),
    })),
  );
  return { waits, boxes, arrows, forEver };
}

/** The orders of locks that were seen, which go round: an arrow from what is held to what is wanted under it. */
export function OrderGraph({ links }: { readonly links: readonly Link[] }) {
  const { boxes, arrows } = useMemo(
    () => ({
      boxes: [...new Set(links.flatMap(({ who, wait }) => [who, wait.object]))].map((name) => ({
        ...{ name, note: '', look: 'for-ever' },
      })),
      arrows: links.map(({ who, wait }) => ({ from: who, to: wait.object, label: '', forEver: true })),
    }),
    [links],
  );
  const says = links.map(({ who, wait }) => `${wait.object} is taken under ${who}`).join('; ');
  return <Diagram says={`The orders go round: ${says}`} boxes={boxes} arrows={arrows} />;
}
