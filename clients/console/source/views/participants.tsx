// Participants: search and list.
import { useEffect, useState } from "preact/hooks";
import { get } from "../api";
import type { Summary } from "../answers";
import { may, type ViewProps } from "../app";
import { number } from "../format";
import { useSettled } from "../hooks";
import { Chip, Empty, Heading, Loading, Trouble, When } from "../parts/ui";
import { link } from "../route";
import { ParticipantView } from "./participant";

interface Page { participants: Summary[]; next_cursor: string | null }

const PATH = "/api/v1/gamify/participants";
const SHOWN = 50;
const MOST_PAGES = 20; // of a search that finds little, before somebody has to ask for more

export function ParticipantsView(props: ViewProps) {
  const [id, ...rest] = props.rest;
  return id === undefined ? <List canSend={props.session.environment === "test" && may(props.session, "ingest")} /> : <ParticipantView key={id} {...props} id={id} rest={rest} />;
}

function List({ canSend }: { canSend: boolean }) {
  const [text, setText] = useState("");
  const search = useSettled(text.trim(), 250);
  const [found, setFound] = useState<Summary[]>([]);
  const [next, setNext] = useState<string | null>(null);
  const [state, setState] = useState<{ busy: boolean; error: Error | null }>({ busy: true, error: null });

  const read = async (cursor: string | null, before: Summary[], signal?: AbortSignal) => {
    setState({ busy: true, error: null });
    try {
      const all = [...before];
      for (let pages = 0; pages < MOST_PAGES; pages++) {
        const page = await get<Page>(PATH, { search, limit: SHOWN, cursor }, signal);
        all.push(...page.participants);
        cursor = page.next_cursor;
        if (cursor === null || all.length - before.length >= SHOWN) break;
      }
      setFound(all);
      setNext(cursor);
      setState({ busy: false, error: null });
    } catch (error) {
      if (!signal?.aborted) setState({ busy: false, error: error as Error });
    }
  };
  useEffect(() => {
    const stop = new AbortController();
    void read(null, [], stop.signal);
    return () => stop.abort();
  }, [search]);

  return (
    <>
      <Heading title="Participants">
        <label class="field search">
          <span class="unseen">Search by id or name</span>
          <input type="search" value={text} placeholder="Search by id or name" onInput={(event) => setText(event.currentTarget.value)} autocomplete="off" spellcheck={false} />
        </label>
      </Heading>
      <Trouble error={state.error} />
      {found.length === 0 && !state.error && (state.busy ? <Loading /> : search
        ? <Empty>No id or name contains <strong>{search}</strong>{next ? " so far." : "."}</Empty>
        : <Empty>No participants yet. Whoever an event names appears here{canSend && <>: <a href={link("sandbox")}>send the first one</a></>}.</Empty>)}
      {found.length > 0 && (
        <div class="card flush">
          <table class="wide">
            <thead><tr><th scope="col">Participant</th><th scope="col">Tier</th><th scope="col" class="figure-cell">Points</th><th scope="col" class="figure-cell">Events</th><th scope="col">First seen</th></tr></thead>
            <tbody>
              {found.map((each) => (
                <tr key={each.participant_id}>
                  <th scope="row" class="name">
                    <a href={link("participants", each.participant_id)}><bdi>{each.display_name || each.participant_id}</bdi></a>
                    {each.display_name && <span class="soft mono"><bdi>{each.participant_id}</bdi></span>}
                  </th>
                  <td data-label="Tier">{each.tier ? <Chip>{each.tier}</Chip> : <span class="soft">–</span>}</td>
                  <td data-label="Points" class="figure-cell">{number(each.balance)}</td>
                  <td data-label="Events" class="figure-cell">{number(each.total_events)}</td>
                  <td data-label="First seen"><When at={each.created_at} only="relative" /></td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {next && <p class="more"><button type="button" aria-disabled={state.busy} onClick={() => { if (!state.busy) void read(next, found); }}>{search ? "Search further" : "Show more"}</button></p>}
    </>
  );
}
