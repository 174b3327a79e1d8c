/**
 * Annotations for GitHub: commands in the log of a workflow that show up beside the design's source line.
 *
 * What is as it should be is no annotation, except that an expected conviction is a notice: it says why the line is there.
 */
import { showKnobs } from '../model/design.ts';
import type { Reporter, RunFormat } from './reporter.ts';
import { type Result, resultOf, siteOfVerdict } from './result.ts';
import type { Site } from './telling.ts';

/** What the runner would take for the end of a message, and in a property for the end of the property. */
const data = (text: string): string => text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
const property = (text: string): string => data(text).replaceAll(':', '%3A').replaceAll(',', '%2C');

function annotation(level: 'error' | 'notice', title: string, text: string, site: Site | undefined): string {
  const at = site ? [`file=${property(site.file)}`, `line=${site.line}`, `col=${site.column}`] : [];
  return `::${level} ${[`title=${property(title)}`, ...at].join(',')}::${data(text)}`;
}

const annotations = ({ design, knobs, found, oddities, site }: Result): string[] => {
  const setting = [design, knobs].filter((part) => part !== '').join(' ');
  return [
    ...found.map(({ telling, expected }) => {
      const { blame, argued } = telling;
      const title = `${telling.design}: ${blame?.property ?? ''}${expected ? ', as expected' : ''}`;
      const because = argued === null ? [] : [argued];
      const text = [blame?.what ?? '', ...because, `at ${showKnobs(telling.knobs) || 'its only setting'}`].join('\n');
      return annotation(expected ? 'notice' : 'error', title, text, siteOfVerdict(telling) ?? site);
    }),
    ...oddities.map((what) => annotation('error', setting, what, site)),
  ];
};

const render = (results: readonly Result[]): string => {
  const lines = results.flatMap(annotations);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
};

const says = "annotations beside the design's source lines, in the log of a GitHub workflow";
export const githubRun: RunFormat = { name: 'github', says, render };
export const github: Reporter = { name: 'github', says, render: (telling) => render([resultOf(telling)]) };
