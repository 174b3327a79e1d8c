/** One step: its lines, where they stand, what they said, and every slot of the state that they wrote. */
import { shownChange } from '../../shown.ts';
import type { Move } from '../trace.ts';

export function StepDetails({ move }: { readonly move: Move | undefined }) {
  if (!move) return <p class="quiet">Before the first step.</p>;
  const callers = move.stack.filter((routine) => routine !== move.thread);
  const said = move.facts.flatMap((fact) =>
    fact.kind === 'misuse'
      ? [`Misuse (${fact.rule}): ${fact.what}`]
      : fact.kind === 'witness'
        ? [`Seen: ${fact.name}`]
        : [],
  );
  return (
    <>
      <p>
        <b>{move.thread}</b>
        {callers.length > 0 && <span class="quiet"> in {callers.join(' ← ')}</span>}
      </p>
      <pre class="line">{move.line}</pre>
      {said.map((text) => (
        <p key={text} class={text.startsWith('Misuse') ? 'breaks' : 'quiet'}>
          {text}
        </p>
      ))}
    </>
  );
}

export function Changes({ move }: { readonly move: Move | undefined }) {
  if (!move || move.changes.length === 0) return <p class="quiet">Nothing.</p>;
  return (
    <dl class="changes">
      {move.changes.map((change) => {
        const [before, after] = shownChange(change);
        return (
          <div key={change.slot}>
            <dt>{change.slot}</dt>
            <dd>
              <del>{before}</del> <span class="quiet">→</span> <ins>{after}</ins>
            </dd>
          </div>
        );
      })}
    </dl>
  );
}
