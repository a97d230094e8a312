// How the game in force is doing: what is being recomputed, and expressions that had no value.
import { get, part } from "../api";
import type { Fact, GameInForce } from "../answers";
import { compact, counted, number } from "../format";
import { useLoad } from "../hooks";
import { Bar, Card, Chip, When } from "../parts/ui";
import { link } from "../route";

const FINISHED_SHOWN = 3;

export function Refolds({ game }: { game: GameInForce }) {
  const running = game.refolds.filter((each) => each.finished_at === null);
  const finished = game.refolds.filter((each) => each.finished_at !== null).slice(0, FINISHED_SHOWN);
  if (running.length + finished.length === 0) return null;
  return (
    <Card title="Recomputed" aside={running.length > 0 && <Chip kind="accent">Running</Chip>}>
      {[...running, ...finished].map((each) => (
        <div class="item" key={each.started_at + each.definitions.join()}>
          <p><code>{each.definitions.join(", ")}</code></p>
          {each.finished_at === null
            ? <div class="overall"><Bar value={each.done} target={Math.max(1, each.total)} label={`Recomputing ${each.definitions.join(", ")}`} /><span>{number(each.done)} of {counted(each.total, "participant")}</span></div>
            : <p class="soft">{counted(each.total, "participant")}, <When at={each.finished_at} only="relative" /></p>}
        </div>
      ))}
    </Card>
  );
}

export function Warnings({ game }: { game: GameInForce }) {
  if (game.warnings.length === 0) return null;
  return (
    <Card title="Expressions without a value">
      <p class="soft">They had no value for these facts, which therefore didn't match.</p>
      {game.warnings.map((each) => (
        <div class="item" key={each.definition + each.message}>
          <div class="between"><h3><code>{each.definition}</code></h3><Chip kind="warn">{counted(each.count, "fact")}</Chip></div>
          <p class="wrong">{each.message}</p>
          <Sample id={each.sample_fact_id} />
          <p class="soft">last <When at={each.last_at} only="relative" /></p>
        </div>
      ))}
    </Card>
  );
}

function Sample({ id }: { id: string }) {
  const fact = useLoad(() => get<Fact>(`/api/v1/facts/${part(id)}`), [id]);
  if (!fact.value) return null;
  const { event_name: name, participant_id: who, properties } = fact.value;
  return <p class="soft">Such as <bdi>{name}</bdi> by <a href={link("participants", who, "timeline")}><bdi>{who}</bdi></a>{Object.keys(properties).length > 0 ? <>: <bdi class="mono">{compact(properties)}</bdi></> : " without properties"}</p>;
}
