//! Given names: short forms, forms in other languages, and the names that form double names.

use std::{collections::HashMap, sync::LazyLock};

/// A group that a given name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Membership {
    /// The number of the group.
    pub group: u16,
    /// True for the full name. Its short forms are not taken for each other: "Hans" and "Jan" of "Johannes".
    pub is_head: bool,
    /// True for a group of romanisations, all of which are one name.
    pub is_romanised: bool,
}

/// The groups of a given name. Empty for a name of no group.
pub fn groups(name: &str) -> &'static [Membership] {
    GROUP_OF.get(name).map_or(&[], Vec::as_slice)
}

/// True if two given names may be one: a full name and its short form, or two romanisations.
pub fn are_variants(a: &[Membership], b: &[Membership], romanised: bool) -> bool {
    a.iter().any(|left| {
        b.iter().any(|right| {
            left.group == right.group && if left.is_romanised { romanised } else { left.is_head || right.is_head }
        })
    })
}

/// The stems of a word with a Latin ending: "lubomir" of "lubomirus".
pub fn latin_stems(name: &str) -> impl Iterator<Item = &str> {
    let stems = ["ius", "aeus", "us"].into_iter().filter_map(|ending| name.strip_suffix(ending));
    stems.filter(|stem| stem.len() >= 3)
}

/// The first name of a group.
pub fn head(group: u16) -> &'static str {
    GROUPS
        .get(usize::from(group))
        .and_then(|names| names.trim_start_matches("= ").split(' ').next())
        .unwrap_or_default()
}

/// True for a name of the tables: a given name.
pub fn is_given(name: &str) -> bool {
    GROUP_OF.contains_key(name) || OTHERS.split_ascii_whitespace().any(|other| other == name)
}

static GROUP_OF: LazyLock<HashMap<&'static str, Vec<Membership>>> = LazyLock::new(|| {
    let mut groups: HashMap<_, Vec<Membership>> = HashMap::new();
    for (group, names) in (0..).zip(GROUPS) {
        let is_romanised = names.starts_with("= ");
        for (at, name) in names.trim_start_matches("= ").split(' ').enumerate() {
            groups.entry(name).or_default().push(Membership { group, is_head: at == 0, is_romanised });
        }
    }
    groups
});

/// A full name with its short and foreign forms; behind "=", romanisations of one name. From general dictionaries of
/// given names.
const GROUPS: &[&str] = &[
    "abraham abe bram",
    "albert al bert",
    "= alexander alex alec sandy sasha alejandro alexandre alessandro aleksandr aleksandar alexandros alexandru oleksandr oleksander aliaksandr alyaksandr aleksander iskander",
    "= alexandra sandra alex sasha aleksandra alessandra",
    "alfred alf fred",
    "= alexey alexei aleksei aleksey oleksiy oleksii aliaksei aleksejs alexis",
    "= anatoly anatoli anatoliy anatolii anatol",
    "andrew andy drew",
    "= andrey andrei andrej andriy andrii andrzej andrejs andriej",
    "anthony tony antony anton antonius",
    "antonio tony toni antonius antonios",
    "arthur art artur",
    "barbara barb babs",
    "bartholomew bart bartholomaeus bertel",
    "benjamin ben benny beniamin binyamin",
    "bernard bernie barney",
    "bradley brad",
    "calvin cal",
    "carol carolyn caroline carrie",
    "catherine katherine kathryn kate kathy cathy katie kay katharine kitty catherina",
    "charles charlie chuck chas carolus",
    "christine chris christina tina christie",
    "christina cristina",
    "christopher chris topher kit",
    "clarence clancy",
    "clifford cliff",
    "clinton clint",
    "= constantine konstantin konstantinos kostas costas costis kostis constantinos constantin kostyantyn",
    "cynthia cindy",
    "daniel dan danny danila danylo",
    "david dave davey davy dafydd daibhidh",
    "deborah debbie deb debra",
    "= demetrius dimitris dimitrios demetris demetrios dimitri",
    "dennis denny denys denis",
    "= dmitry dmitri dmitriy dimitri dimitry dmytro dzmitry dmitrij dmitrii dimitrij",
    "donald don donnie donny",
    "dorothy dot dottie dolly",
    "douglas doug",
    "edgar ed",
    "edmund ed eddie ned ted",
    "edward ed eddie ned ted teddy eduard edvard",
    "edwin ed eddie",
    "eleanor ellie nell nora",
    "elizabeth liz beth betty lizzie betsy eliza libby lisa elisabeth",
    "ernest ernie ernestus",
    "= eugene gene evgeny yevgeny evgeni yevgeni evgeniy yevhen evgenii yauhen",
    "felix feliks",
    "ferdinand ferdy",
    "florence flo",
    "frances fran frannie",
    "francis frank fran francois franciscus",
    "francisco paco pancho",
    "franklin frank",
    "frederick fred freddie freddy fredric frederic fredericus frederik",
    "gabriel gabe",
    "garland andy",
    "geoffrey geoff jeff jeffrey",
    "= george georges georgios giorgos yorgos jorge georg georgius giorgi georgy heorhiy",
    "gerald gerry jerry",
    "gerard gerry jerry",
    "gilbert gil",
    "giuseppe pino beppe peppe",
    "giovanni gianni nanni",
    "francesco franco cecco",
    "gregory greg gregg grigory hryhoriy hrihoriy gregorius",
    "harold harry hal",
    "harriet hattie",
    "henry harry hank hal henri henricus",
    "= heydar haydar heidar geidar geider heider",
    "herbert herb bert",
    "hilary hillary hilaria",
    "howard howie",
    "hubert bert hugh",
    "ian ioannes",
    "= ihor igor",
    "irene rena",
    "isaac ike isaak",
    "jacob jake jack jacobus",
    "jacqueline jackie",
    "james jim jimmy jamie jem iacobus",
    "jean ioannes johannes",
    "jeffrey jeff jeffery",
    "jennifer jen jenny",
    "jessica jess jessie",
    "joan joanna joanie",
    "john jack johnny jon ioannes iohannes",
    "johannes hans jan johann iohannes",
    "jonathan jon jonny",
    "jose pepe",
    "joseph joe joey jos josephus",
    "joshua josh",
    "josip joze jozef",
    "judith judy",
    "= julia julie yulia iulia julija yuliya",
    "kenneth ken kenny",
    "kimberly kim",
    "= kyrylo kirill cyril kiril",
    "lawrence larry laurie laurence laurentius lars",
    "leonard leo len lenny",
    "leslie les",
    "lewis lew louis",
    "lillian lily lil",
    "louis lou louie ludovicus",
    "luis luiz lius lucho",
    "manuel manny manolo",
    "margaret maggie meg peggy marge margie rita greta maggi megan",
    "= maria marie marija mariya",
    "maria mª ma",
    "marina marine",
    "martin marty martinus",
    "mary molly polly mamie maria",
    "matthew matt matty matthaeus",
    "maureen mo",
    "maximilian max",
    "maxwell max",
    "melinda mindy",
    "michael mike mick mickey michel michaelis",
    "= mikhail mikheil mykhailo mykhaylo mihail michail mikhal misha",
    "mitchell mitch",
    "nancy nan",
    "nathaniel nathan nat nate",
    "nicholas nick nicky nicolas nicolaus",
    "= nikolai nikolay mykola nicolae mikola mikalai nikola kolya",
    "= nikolaos nikos nicos nicolaos nicolas",
    "norman norm",
    "norbert bert",
    "= oleh oleg aleh",
    "= olena elena yelena jelena alena helena",
    "oliver ollie",
    "pamela pam",
    "patricia pat patty patti trish tricia",
    "patrick pat paddy patricius",
    "paul paulus",
    "= pavel pavlo paval pavils",
    "peter pete petrus",
    "= petr petro pyotr piotr pjotr petar",
    "philip phil phillip philippus pip",
    "= pyotr petro piotr pjotr",
    "rafael rafa raphael",
    "ralph rafe",
    "randall randy rand",
    "randolph randy",
    "raymond ray",
    "rebecca becky becca",
    "reginald reg reggie",
    "richard dick rick rich ricky richie ritchie ricardus",
    "robert bob bobby rob robbie bert robin robertus",
    "roberto beto robertus",
    "roderick rod",
    "rodney rod",
    "roger rodge rogerius",
    "ronald ron ronnie ronny",
    "rosemary rose rosie",
    "rudolf rudi rudy rolf",
    "rudolph rudy",
    "russell russ rusty",
    "salvador chava",
    "samuel sam sammy",
    "sarah sally sadie",
    "= sergey sergei serhiy sergej siarhei serguei serhii serge sergejs siergiej sergiy",
    "sidney sid sydney",
    "solomon sol",
    "stanley stan",
    "stephanie steph",
    "stephen steve steven stevie stephanus",
    "stephane stephanus",
    "stewart stu stuart",
    "susan sue susie suzy suzanne susanna",
    "= sviatoslav svyatoslav",
    "terence terry terrence",
    "theodore ted teddy theo theodorus",
    "theresa terry tess teresa",
    "thomas tom tommy",
    "timothy tim timmy timotheus",
    "tobias toby",
    "valentina valya",
    "= valery valeri valeriy valerii valerijs",
    "= vasily vasyl vasili vasiliy vasile vasilii wasyl basil vasil",
    "victor viktor vic",
    "victoria vicky vicki tori viktoria",
    "vincent vince vinny vincentius",
    "virginia ginny",
    "= vladimir volodymyr uladzimir wladimir volodimir vladmir",
    "walter walt wally",
    "wilfred wilf",
    "wilhelm willi willy",
    "william bill billy will willie liam guillermo gulielmus",
    "winston winnie",
    "= yakov yakiv",
    "= yury yuri yuriy iurie jurijs iouri iurii",
    "zachary zach zack zac",
];

/// Further given names of languages in which two of them are a double name.
const OTHERS: &str = "\
    aage agnes aksel alain alice amalie anders andre andrea andreas ane anette anita ann anna annbritt anne \
    annika antoine arild arne arnold arve asbjorn ase astrid august axel beate bengt bent berit bernd bernhard \
    bernt birgit birgitta bjorn bo borge britt bruno carl carlo carlos caspar cecilia charlotte christel \
    christian christoph clara claude claudia dag daniela detlef dieter dominique edda edith egil einar eirik elin \
    elisa ella ellen else emil emilia emma erich erik erika erling ernst eva eyvind finn franz fridtjof friedrich \
    fritz gabriele gerd gerda gerhard gisela grete gro gudmund gudrun guillaume gun gunnar gunter gunther gustav \
    guy haim hakon halvard halvor hanna hanne hannes harald heidi heike heiko heinrich heinz helene helga helge \
    helmut henning henrik hermann herve hilde hildegard horst inga inge inger ingrid ingvar isabel isabelle ivan \
    ivar jacques jakob jannie javier jens jesus joachim jochen joel joern jon jorg jorgen jorn josef juan juergen \
    juha jukka julian jurg jurgen kai kaj kalevi karen kari karin karina karl karsten kaspar katarina katrin \
    kerstin kirsten kjell klaus knut kristian kristin kristina kurt laila lasse laura laurent leif lena lennart \
    linda line lise luc lucia lucie ludwig magdalena magne magnus maj maja malin manfred marc marcel marco \
    margareta margrethe marianne marit marius mark markus marta martha martina mathias mats matthias maurice \
    mette micheline miguel mikael mikko monica monika morten nadine nicole niels nils nina oddvar ola olaf olav \
    ole oscar oskar otto pablo pascal patrice pedro pekka pelle per petra philippe pia pierre poul rainer ralf \
    regine reiner reinhard renate rene rolf rosa ruben ruth sabine sara sigrid sigurd silvia simon simone sofia \
    sofie solveig sonja soren stefan stein sten sture svein sven sylvia thierry thomas thor thorsten tommy tor \
    tora tore torsten trond trygve ulf ulla ulrich ulrika ursula ute uwe valentin vera veronika vidar walther \
    werner wolfgang xavier yves yvonne";
