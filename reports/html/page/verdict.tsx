/** What the page is about: the claim, the verdict, the argument as a proof, and where it all comes from. */
import { REBOOT } from '../../../model/case.ts';
import { showKnobs } from '../../../model/design.ts';
import { signature } from '../../../properties/property.ts';
import { citation } from '../citations.ts';
import type { Finding } from '../finding.ts';
import { OrderGraph } from './wait-graph.tsx';

export function Claim({ finding }: { readonly finding: Finding }) {
  const { design, title, knobs, workload, blame, schedule, loop, shortest } = finding;
  const calls = Object.entries(workload).map(([user, todo]) => `${user}: ${todo.join('; ') || 'nothing'}`);
  const { length } = schedule.filter((word) => word !== REBOOT);
  const steps = `${length} step${length === 1 ? '' : 's'}`;
  return (
    <header>
      <p class="design">
        fenceproof · <b>{design}</b> {showKnobs(knobs)}
      </p>
      <h1>{title}</h1>
      {calls.length > 0 && (
        <p class="quiet">
          Calls: <code>{calls.join(' · ')}</code>
        </p>
      )}
      <p class={`verdict ${blame ? 'bad' : 'good'}`}>
        {blame ? (
          <>
            <b>Breaks {signature(blame)}</b> in {steps}
            {loop.length > 0 && `, and ${loop.length} more that go round for ever`}: {blame.what}.
            {shortest === 'proved' && <span class="quiet"> No shorter way there exists.</span>}
          </>
        ) : (
          <b>Nothing is broken in these {steps}.</b>
        )}
      </p>
    </header>
  );
}

export function Proof({ finding }: { readonly finding: Finding }) {
  const { argument, argued, orders } = finding;
  if (!argument) return null;
  return (
    <section aria-labelledby="argument">
      <h2 id="argument">The argument</h2>
      {argument.lets.length > 0 && (
        <dl class="lets">
          {argument.lets.map(({ letter, who, where }) => (
            <div key={letter}>
              <dt>
                Let {letter} = {who}
              </dt>
              <dd>{where}</dd>
            </div>
          ))}
        </dl>
      )}
      {orders && <OrderGraph links={orders} />}
      {argument.sentences.map((text) => (
        <p key={text} class="proof">
          {text}
        </p>
      ))}
      {argued !== undefined && (
        <p>
          <b>In short:</b> {argued}.
        </p>
      )}
    </section>
  );
}

export function Sources({ finding }: { readonly finding: Finding }) {
  const { blame, says, again, version, shortest } = finding;
  const cited = finding.sources.map(citation);
  const linked = cited.filter((pieces) => pieces.some(({ href }) => href !== undefined));
  const bare = cited.filter((pieces) => !linked.includes(pieces)).flat();
  return (
    <footer>
      {blame && (
        <p>
          <b>{blame.property}</b>: {says}. Rules: {blame.rules.join(', ')}.
        </p>
      )}
      <h2>Sources</h2>
      <ul class="sources">
        {linked.map((pieces) => (
          <li key={pieces[0]?.text}>
            {pieces.map(({ text, href }) =>
              href === undefined ? (
                text
              ) : (
                <a key={text} href={href} rel="noreferrer">
                  {text}
                </a>
              ),
            )}
          </li>
        ))}
        {bare.length > 0 && <li>{bare.map(({ text }) => text).join('; ')}</li>}
      </ul>
      {shortest !== undefined && shortest !== 'proved' && <p class="quiet">A shorter trace may exist ({shortest}).</p>}
      <p class="quiet">
        fenceproof {version}; on a terminal: <code>{again}</code>
      </p>
    </footer>
  );
}
