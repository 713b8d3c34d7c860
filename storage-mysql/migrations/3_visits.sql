-- What is known of the visits behind clicks, and visitors who are known again for a day.

-- Texts are empty where nothing is known. All columns go in one statement, and each has a default: so both servers note
-- them in the table's definition, which takes milliseconds, and rewrite no row (ALGORITHM = INSTANT, their own choice).
ALTER TABLE {prefix}clicks
    ADD COLUMN sub1 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub2 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub3 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub4 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN sub5 VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN source VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN ip VARCHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    ADD COLUMN user_agent VARCHAR(512) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '',
    ADD COLUMN bot VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    ADD COLUMN is_repeat TINYINT NOT NULL DEFAULT 0,
    ADD COLUMN is_recovered TINYINT NOT NULL DEFAULT 0;

ALTER TABLE {prefix}counters
    ADD COLUMN human_clicks BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN unique_clicks BIGINT NOT NULL DEFAULT 0;

-- Of clicks that were counted before, nobody has judged who made them: they are taken for what the default of a click's
-- columns says, a person's first. A few at a time: repeated until there are none.
UPDATE {prefix}counters SET human_clicks = clicks, unique_clicks = clicks
WHERE clicks > 0 AND human_clicks = 0
LIMIT 20000;

-- The first click of each visitor, under the hash of its day. A visitor of whom there is a row here is known again.
CREATE TABLE {prefix}visitors (
    visitor BINARY(16) NOT NULL,
    first_click DATETIME(3) NOT NULL,
    PRIMARY KEY (visitor),
    KEY oldest (first_click)
) ENGINE = InnoDB;
