"""Lists of images as spreadsheets, R, pandas, PowerShell and editors write them."""

import os
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from odc_lightning.data import FileSource, file_list
from odc_lightning.data.files.list_text import read_text
from odc_lightning.evaluation.fine_tuning import listed_images

NAMES = (
    *("a.png", "b.png", "sub/c.png", "Straße ä.png", "x, y.png", 'q"t.png', "line\nbreak.png"),
    *("=SUM(1).png", " lead.png", "#1.png", "Łódź.png", "фото.png", "写真.png"),
    os.fsdecode(b"caf\xe9.png"),
)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for name in NAMES:
        with (tmp_path / "photos" / name).open("wb") as file:
            Image.new("RGB", (2, 2)).save(file, "PNG")
    return tmp_path / "photos"


def read(photos: Path, content: bytes | str, name: str = "list.csv") -> FileSource:
    listing = photos.parent / name
    listing.write_bytes(content.encode() if isinstance(content, str) else content)
    source = file_list(str(listing), str(photos))
    assert all(source.load(index).size == (2, 2) for index in range(len(source)))
    return source


def classes(source: FileSource) -> list[str | None]:
    assert source.labels is not None
    assert source.class_names is not None
    return [None if label < 0 else source.class_names[label] for label in source.labels]


LIST = "path,label\na.png,cat\nStraße ä.png,Größe\n"


@pytest.mark.parametrize(
    "content",
    [
        LIST.encode(),
        b"\xef\xbb\xbf" + LIST.replace("\n", "\r\n").encode(),
        LIST.replace("\n", "\r").encode(),
        *(LIST.encode(each) for each in ("cp1252", "latin-1", "mac_roman", "utf-16")),
        *(LIST.encode(each) for each in ("utf-16-le", "utf-16-be")),
        b"\xfe\xff" + LIST.encode("utf-16-be"),
        LIST.replace(",", ";").encode("cp1252"),
        b"sep=;\r\n" + LIST.replace(",", ";").encode(),
        LIST.replace(",", "\t").encode("utf-16"),
        b'"path","label"\n"a.png","cat"\n' + 'Straße ä.png,"Größe"\n'.encode(),
        b'"path", "label"\n"a.png", "cat"\n' + '"Straße ä.png", "Größe"\n'.encode(),
        '"","label","file"\n"1","cat","a.png"\n"2","Größe","Straße ä.png"\n'.encode(),
        b"# made by hand\n\nFile Path , Class Name,\na.png , cat,\n\n,,\n# more\n"
        + "Straße ä.png,Größe,,\n".encode(),
        b'#TYPE System.IO.FileInfo\r\n"FullName","Label"\r\n"a.png","cat"\r\n'
        + '"Straße ä.png","Größe"\r\n'.encode(),
        unicodedata.normalize("NFD", LIST).replace("Gro\u0308ße", "Größe").encode(),
    ],
)
def test_the_same_list_in_many_hands(photos: Path, content: bytes) -> None:
    source = read(photos, content)
    assert source.names == ["a.png", "Straße ä.png"]
    assert classes(source) == ["cat", "Größe"]
    assert source.class_names == ["Größe", "cat"]


@pytest.mark.parametrize(
    ("name", "word", "encoding"),
    [
        ("Łódź.png", "Żaba", "cp1250"),
        ("фото.png", "кот", "cp1251"),
        ("写真.png", "猫", "cp932"),
        ("写真.png", "猫", "gb18030"),
    ],
)
def test_the_encoding_is_the_one_in_which_the_images_exist(
    photos: Path, name: str, word: str, encoding: str
) -> None:
    source = read(photos, f"path;label\n{name};{word}\n".encode(encoding))
    assert (source.names, source.class_names) == ([name], [word])


def test_bytes_of_names_that_are_not_utf8(photos: Path) -> None:
    source = read(photos, b"caf\xe9.png\nStra\xc3\x9fe \xc3\xa4.png\n", "list.txt")
    assert source.names == [os.fsdecode(b"caf\xe9.png"), "Straße ä.png"]
    assert classes(read(photos, b"path,label\ncaf\xe9.png,1\n")) == ["1"]


def test_names_with_separators_quotes_and_line_ends(photos: Path) -> None:
    quoted = '"x, y.png",1\n"q""t.png",2\n"line\nbreak.png",1\n" lead.png",2\n./=SUM(1).png,1\n'
    source = read(photos, f"path,label\n{quoted}")
    assert source.names == ["x, y.png", 'q"t.png', "line\nbreak.png", " lead.png", "=SUM(1).png"]
    assert classes(source) == ["1", "2", "1", "2", "1"]


def test_plain_lists_have_a_path_on_each_line(photos: Path) -> None:
    lines = (
        f'# chosen\nx, y.png\r\n\n#1.png\n lead.png\nb.png  \nsub\\c.png\n"q"t.png"\n{photos}/a.png'
    )
    source = read(photos, lines, "list.txt")
    expected = ["x, y.png", "#1.png", " lead.png", "b.png", "sub/c.png", 'q"t.png']
    assert source.names == [*expected, f"{photos}/a.png"]
    assert source.labels is None
    assert read(photos, "a.png\rb.png\r", "list.txt").names == ["a.png", "b.png"]


def test_paths_followed_by_a_number_as_of_imagenet(photos: Path) -> None:
    source = read(photos, "a.png 10\nsub/c.png 9\nx, y.png 10\nb.png -1\n", "list.txt")
    assert source.names == ["a.png", "sub/c.png", "x, y.png", "b.png"]
    assert source.class_names == ["9", "10"]
    assert classes(source) == ["10", "9", "10", None]
    assert classes(read(photos, "a.png\tdog\nx, y.png\tcat\n", "list.txt")) == ["dog", "cat"]


def test_a_number_at_the_end_of_names_is_part_of_them(photos: Path) -> None:
    (photos / "scan.png 1").write_bytes((photos / "a.png").read_bytes())
    assert read(photos, "scan.png 1\n", "list.txt").names == ["scan.png 1"]


UNKNOWN = ("", "nan", "NaN", "NA", "N/A", "#N/A", "<NA>", "null", "-1", "-1.0", " ")


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_unknown_labels_are_unknown(photos: Path, unknown: str) -> None:
    source = read(photos, f"path,label\na.png,{unknown}\nb.png,cat\n")
    assert classes(source) == [None, "cat"]
    assert source.class_names == ["cat"]
    assert read(photos, f"path,label\na.png,{unknown}\n").labels is None


def test_floats_of_pandas_are_the_classes_in_their_order(photos: Path) -> None:
    values = ["", "-1.0", "0.0", "1.0", "nan", "10.0", "2.0", "2"]
    names = [f"{number}.png" for number in range(len(values))]
    for name in names:
        (photos / name).write_bytes((photos / "a.png").read_bytes())
    rows = "".join(f"{name},{value}\n" for name, value in zip(names, values, strict=True))
    source = read(photos, f"path,label\n{rows}")
    assert source.class_names == ["0", "1", "2", "10"]
    assert classes(source) == [None, None, "0", "1", None, "10", "2", "2"]


def test_words_like_numbers_stay_words(photos: Path) -> None:
    source = read(photos, "path,label\na.png,1.0\nb.png,1.5\nsub/c.png,none\n")
    assert source.class_names == ["1.0", "1.5", "none"]


def test_negative_numbers_are_in_their_order(photos: Path) -> None:
    source = read(photos, "path,label\na.png,10\nb.png,-2\nsub/c.png,9\n")
    assert source.class_names == ["-2", "9", "10"]


def test_columns_that_are_not_read_are_logged(
    photos: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    source = read(photos, "path,species\na.png,cat\n")
    assert source.labels is None
    assert "no labels; these columns are not read: species" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("path,label\na.png,1\nb.png,2\n./a.png,3\n", "label 1 in line 2, and 3 in line 4"),
        ("path,label\n\na.png,dog\nb.png\n", "line 4: .* has 1 fields; expected 2"),
        ("path,label\na.png,dog,x\n", "line 2: .* has 3 fields; expected 2"),
        ('path,label\na.png,1\n"b.png,dog\nc.png,2\n', "line 3: unexpected end of data"),
        ('path,label\n"a".png,dog\n', "line 2: ',' expected after"),
        ("path,label\n,cat\n", "line 2: .* has no path"),
        ("file,image\na.png,b.png\n", "columns file and image could both be the path"),
        ("path,class,category\na.png,1,2\n", "columns class and category could both be the label"),
        ("a.png,cat\n", "expected .path. or .path,label. as the first line, got 'a.png,cat'"),
        ("path,label\na.png,Größe\n".encode("cp1252"), "line 2: this is not UTF-8.* save it as"),
        (b"PK\x03\x04\x14\x00\x06\0\0\xff", "is not a text file.* save it as UTF-8"),
        (b"\xff\xfe\0", "is not a text file"),
        (b"\xef\xbb\xbf", "names no images"),
        ("path,label\n" + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_other_lists_are_refused_in_a_line(
    photos: Path, content: bytes | str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        read(photos, content)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_lists_of_images_to_fine_tune_on(photos: Path, encoding: str) -> None:
    source = FileSource(photos, NAMES)
    listing = photos.parent / "one_percent.txt"
    listing.write_bytes("Straße ä.png 7\r\nc.png 3\r\n".encode(encoding))
    assert listed_images(source, listing).tolist() == [2, 3]
    listing.write_bytes("label;file\r\n7;Straße ä.png\r\n3;c.png\r\n".encode(encoding))
    assert listed_images(source, listing).tolist() == [2, 3]
    listing.write_bytes(b"\n")
    with pytest.raises(ValueError, match=r"one_percent\.txt names no images"):
        listed_images(source, listing)


def test_official_lists_are_text_in_utf8_or_utf16(tmp_path: Path) -> None:
    listing = tmp_path / "car_test.txt"
    for encoding in ("utf-8-sig", "utf-16"):
        listing.write_bytes("000001 -1\r\n".encode(encoding))
        assert read_text(listing) == "000001 -1\r\n"
    listing.write_bytes("000001 ä\n".encode("cp1252"))
    with pytest.raises(ValueError, match="line 1: this is not UTF-8"):
        read_text(listing)
