/**
 * What `check` and `fuzz` write for other programs: a format on standard output, in place of the text for people, or
 * any number of them into files beside it.
 */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { Option } from 'commander';
import type { Booted } from '../model/design.ts';
import { runFormats } from '../reports/index.ts';
import type { RunFormat } from '../reports/reporter.ts';
import type { Result } from '../reports/result.ts';
import type { SiteOf } from '../reports/telling.ts';
import { listed } from './options.ts';
import { heeding, oneLine, refusal } from './refusal.ts';
import { hearSites, siteOfDesign } from './sites.ts';
import { type Terminal, print } from './terminal.ts';

export const formatOption = (others: readonly string[] = []): Option =>
  new Option(
    '-f, --format <name[=file]>',
    `print the results in this format, or write them to a file: ${[...others, ...runFormats.map(({ name }) => name)].join(', ')}`,
  ).argParser(listed);

interface Asked {
  readonly format: RunFormat;
  readonly file?: string;
}

/** The formats that a run was asked for. */
export class RunFormats {
  /** One of them is all that standard output gets. */
  readonly alone: boolean;
  /** Where lines are written, when a format wants to know. */
  readonly siteOf: SiteOf;
  readonly wanted: boolean;
  private readonly asked: readonly Asked[];

  /** @throws a refusal when a format is unknown, two want standard output, or a file cannot be written */
  constructor(texts: readonly string[], others: readonly string[] = []) {
    this.asked = texts.map((text) => {
      const [name = '', ...rest] = text.split('=');
      const format = runFormats.find((each) => each.name === name);
      if (!format) {
        const known = [...others, ...runFormats.map((each) => each.name)].join(', ');
        throw refusal(`unknown format "${oneLine(name)}"; there are: ${known}`);
      }
      return rest.length > 0 ? { format, file: rest.join('=') } : { format };
    });
    const printed = this.asked.filter(({ file }) => file === undefined);
    if (printed.length > 1)
      throw refusal(
        `--format ${printed.map(({ format }) => format.name).join(' and ')} cannot both be printed; write one to a file, as in --format ${printed[0]?.format.name}=results.txt`,
      );
    for (const { file } of this.asked) if (file !== undefined) heeding(() => closeSync(openSync(file, 'a')), file);
    this.alone = printed.length > 0;
    this.wanted = this.asked.length > 0;
    this.siteOf = this.wanted ? hearSites() : () => undefined;
  }

  siteOfDesign(booted: Booted): Pick<Result, 'site'> {
    const site = siteOfDesign(booted, this.siteOf);
    return site ? { site } : {};
  }

  write(results: readonly Result[], terminal: Terminal): void {
    for (const { format, file } of this.asked) {
      const text = format.render(results);
      if (file === undefined) {
        if (text !== '') print(terminal, text.trimEnd());
      } else heeding(() => writeFileSync(file, text), file);
    }
  }
}
